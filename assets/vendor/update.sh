#!/bin/sh
# Fetches the browser code that Sealpost ships but did not write, and wraps it as an ES module.
# To take a newer version: change VERSION and INTEGRITY, run this, read the difference, commit both files.
set -eu

VERSION=4.3.1
INTEGRITY=sha512-ZLeYmjrkaU1fUsKbIi8JML52uAocjEZtBx4DKjRrqzrZa0O4MYwT6db+oqePlspV+FxXJAyFBc/L5gwUi2OFsg==

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "tus-js-client@$VERSION" >/dev/null
package="tus-js-client-$VERSION.tgz"
found="sha512-$(openssl dgst -sha512 -binary "$package" | openssl base64 -A)"
if [ "$found" != "$INTEGRITY" ]; then
    echo "tus-js-client $VERSION is not the file that was reviewed: expected $INTEGRITY, found $found" >&2
    exit 1
fi
tar -xzf "$package"

# The package's browser build looks for CommonJS first, so giving it a `module` of its own keeps it out of `window`.
{
    echo "/*! tus-js-client $VERSION, MIT licence, see tus.LICENSE; written by update.sh, not by hand */"
    echo 'const module = { exports: {} };'
    echo 'const exports = module.exports;'
    sed '/^\/\/# sourceMappingURL=/d' package/dist/tus.min.js
    echo
    echo 'export const { Upload, DetailedError, isSupported } = module.exports;'
} > "$here/tus.js"
cp package/LICENSE "$here/tus.LICENSE"

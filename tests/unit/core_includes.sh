#!/bin/sh
# The core is pure: no file of it includes a header of a library, or a header of ours that does,
# and none does I/O or asks the time.
milter=${srcdir:-.}/milter
# What milter.am puts into libcore.a, and the headers alone of log and settings.
core=$(sed -n '/^milter_libcore_a_SOURCES/,/[^\\]$/p' "$milter/milter.am" | tr ' \t' '\n\n' |
    sed -n 's/^milter\/\(.*\)\.c$/\1/p')
interfaces='log settings'
allowed=' assert ctype inttypes limits stdarg stdatomic stdbool stddef stdint stdio stdlib string
 strings arpa/inet immintrin netinet/in sys/queue sys/socket sys/types '
input_output='\b(printf|fprintf|open|read|write|socket|send|recv|fopen|getenv|time) *\('
failed=0

complain()
{
    echo "$1"
    failed=1
}

check()
{
    for header in $(sed -n 's/^ *# *include *<\([^>]*\)\.h>.*/\1/p' "$1"); do
        echo "$allowed" | grep -q " $header\( \|\$\)" || complain "$1 includes <$header.h>"
    done
    for header in $(sed -n 's/^ *# *include *"milter\/\([^"]*\)\.h".*/\1/p' "$1"); do
        echo " $(echo $core $interfaces) " | grep -q " $header " ||
            complain "$1 includes \"milter/$header.h\", which is not of the core"
    done
    if grep -vE '^ *(/\*|\*)' "$1" | grep -E "$input_output"; then
        complain "$1 does I/O or asks the time"
    fi
}

for name in content conversation smtp_command suppression transfer verdict; do
    echo " $(echo $core) " | grep -q " $name " || complain "$name is not in libcore.a"
done
for name in $core; do
    [ -f "$milter/$name.h" ] || complain "there is no $milter/$name.h"
    for file in "$milter/$name.c" "$milter/$name.h"; do
        [ ! -f "$file" ] || check "$file"
    done
done
for name in $interfaces; do
    check "$milter/$name.h"
done
exit $failed

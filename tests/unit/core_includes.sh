#!/bin/sh
# The core is pure: no file of it includes a header of a library, or a header of ours that does,
# and none does I/O or asks the time.
milter=${srcdir:-.}/milter
core='content conversation network network_tree plain_lines rules smtp_command suppression
transfer verdict'
interfaces='log settings' # of these just the headers
allowed=' assert ctype inttypes limits stdarg stdbool stddef stdint stdio stdlib string strings
 arpa/inet netinet/in sys/socket sys/types '
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

#!/bin/sh
# Writes a C file with a text in it: embed.sh INPUT OUTPUT HEADER NAME gives NAME[] and NAME_length.
set -eu
{
    echo "/* Generated from $(basename "$1"). */"
    echo "#include \"$3\""
    echo "const char $4[] = {"
    od -An -v -td1 "$1" | sed 's/  */,/g; s/^,//; s/$/,/'
    echo '};'
    echo "const size_t $4_length = sizeof $4;"
} >"$2.part"
mv "$2.part" "$2"

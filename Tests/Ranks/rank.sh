#!/usr/bin/env bash
# What mpirun starts as a rank: rank.sh DIRECTORY COMMAND... runs the command and leaves its exit status in the directory.
# mpirun itself tells the status of one rank only.
directory="$1"; shift
trap : TERM INT
"$@"
status=$?
echo "$status" >"$directory/exit-$OMPI_COMM_WORLD_RANK"
exit "$status"

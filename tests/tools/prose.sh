#!/bin/sh
# Checks the prose of comments, messages and docs: words with a better one, and "what" as a relative pronoun.
#
#   prose.sh [FILE...]             one line for each finding, as FILE:LINE: WORD -> the wanted words
#   prose.sh --summary [FILE...]   the number of findings in each file, largest first
#   prose.sh --what [FILE...]      each "what" that counts as a relative pronoun
#
# Without FILE it reads every file of the repository. The words are in prose.words, the texts that may stay
# in prose.allow. It ends with 1 when there is a finding, or 3 or more "what" in 1,000 words.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
cd "$ROOT"
command -v perl >/dev/null 2>&1 || { echo "prose.sh needs perl" >&2; exit 1; }
exec perl tests/tools/prose.pl "$@"

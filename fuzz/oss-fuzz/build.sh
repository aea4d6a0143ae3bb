#!/bin/bash -eu
# SPDX-License-Identifier: Apache-2.0
exec "$SRC/ffgrant/fuzz/ossfuzz.sh"

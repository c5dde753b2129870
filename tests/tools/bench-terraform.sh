#!/bin/sh
# Writes a configuration of N terraform_data with a state that contains them all, so that `terraform plan` finds
# nothing to do. The state is written directly: applying 10,000 of them would take terraform minutes.
#
#   bench-terraform.sh N FOLDER
set -eu
n=$1
cd "$2"
[ ! -f state.made ] || exit 0
python3 - "$n" <<'END'
import json, sys, uuid
n = int(sys.argv[1])
with open("main.tf", "w") as f:
    for i in range(n):
        f.write(f'resource "terraform_data" "p{i}" {{\n  input = {{ image = "tally.local/hello:1", n = "{i}" }}\n}}\n')
kind = ["object", {"image": "string", "n": "string"}]
def one(i):
    value = {"value": {"image": "tally.local/hello:1", "n": str(i)}, "type": kind}
    return {"mode": "managed", "type": "terraform_data", "name": f"p{i}",
            "provider": "provider[\"terraform.io/builtin/terraform\"]",
            "instances": [{"schema_version": 0, "sensitive_attributes": [],
                           "attributes": {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(i))),
                                          "input": value, "output": value, "triggers_replace": None}}]}
state = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "lineage": str(uuid.uuid4()),
         "outputs": {}, "resources": [one(i) for i in range(n)], "check_results": None}
json.dump(state, open("terraform.tfstate", "w"))
END
terraform init -input=false >/dev/null
touch state.made

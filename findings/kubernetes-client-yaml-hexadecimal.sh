#!/bin/bash
# KubernetesClient 21.0.8 (NuGet): KubernetesYaml.Serialize writes a text like 0x10de without quotes, so others read a number.
#
# An environment variable whose text is 0x10de (the vendor's id of a graphics card) goes out as `value: 0x10de`. In YAML this is the
# integer 4318, and where its schema has a string Kubernetes takes no number: kubectl 1.32.4 refuses such a pod with "cannot unmarshal
# number into Go struct field EnvVar.spec.containers.env.value of type string". The same goes for octal numbers (0o17), a plus
# sign (+1) and infinity (.inf).
# Why one would guess otherwise: the property is a string; the serializer quotes decimal numbers, exponents, leading zeros, true, yes
# and null in any case; and it reads its own text back as it was, so a test of the way there and back does not see it.
#
# Another reader: Kubernetes' client for JavaScript, npm's @kubernetes/client-node 1.4.0.
#
# Seen:
#   text      written     KubernetesYaml reads   client-node reads
#   4318      "4318"      4318                   the string 4318
#   0644      "0644"      0644                   the string 0644
#   1e3       "1e3"       1e3                    the string 1e3
#   Yes       "Yes"       Yes                    the string Yes
#   0x10de    0x10de      0x10de                 the number 4318
#   0o17      0o17        0o17                   the number 15
#   +1        +1          +1                     the number 1
#   .inf      .inf        .inf                   the number Infinity
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" npm_config_cache="$folder/npm" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup><PackageReference Include="KubernetesClient" Version="[21.0.8]" /></ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using k8s;
using k8s.Models;

string[] texts = ["4318", "0644", "1e3", "Yes", "0x10de", "0o17", "+1", ".inf"];
var variables = texts.Select((text, i) => new V1EnvVar { Name = $"VARIABLE_{i}", Value = text }).ToList();
var pod = new V1Pod
{
    ApiVersion = "v1",
    Kind = "Pod",
    Metadata = new V1ObjectMeta { Name = "pod" },
    Spec = new V1PodSpec { Containers = [new V1Container { Name = "container", Image = "image", Env = variables }] },
};
var yaml = KubernetesYaml.Serialize(pod);
File.WriteAllText("pod.yaml", yaml);
var written = yaml.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("value: ")).Select(line => line["value: ".Length..]);
var read = KubernetesYaml.Deserialize<V1Pod>(yaml).Spec.Containers[0].Env.Select(variable => variable.Value);
foreach (var (first, second) in written.Zip(read)) Console.WriteLine($"{first} {second}");
CS
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @kubernetes/client-node@1.4.0 > /dev/null
cat > read.js <<'JS'
import fs from "node:fs";
import { loadYaml } from "@kubernetes/client-node";

const pod = loadYaml(fs.readFileSync("pod.yaml", "utf8"));
for (const { value } of pod.spec.containers[0].env) console.log(`${typeof value} ${value}`);
JS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
dotnet out/app.dll > written.txt
node read.js > read.txt
seen=$(paste -d ' ' written.txt read.txt)
echo "$seen"
[ "$seen" = '"4318" 4318 string 4318
"0644" 0644 string 0644
"1e3" 1e3 string 1e3
"Yes" Yes string Yes
0x10de 0x10de number 4318
0o17 0o17 number 15
+1 +1 number 1
.inf .inf number Infinity' ] || { echo "the behaviour has changed"; exit 1; }
echo "KubernetesYaml still writes hexadecimal and octal texts without quotes"

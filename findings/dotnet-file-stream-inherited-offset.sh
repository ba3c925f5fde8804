#!/bin/bash
# .NET 10: FileStream over an inherited handle of a file leaves the handle's offset where it was, so the next process overwrites what was written.
#
# new FileStream(new SafeFileHandle(1, false), FileAccess.Write) is a way to write to stdout that, unlike Console's stream, tells that a pipe has no reader
# any more. FileStream begins at the handle's offset, and then writes with pwrite at a position that only it knows. The offset is shared with the shell
# and with all that it starts in the same redirection: { a; b; } > file.
# Why one would guess otherwise: with a pipe, with >> and with Console.OpenStandardOutput() the same program does what it should, and nothing in the
# constructor that takes a handle says that the offset stays behind.
#
# Seen with .NET 10.0: { dotnet app.dll; echo b; } > file
#   written by               file
#   FileStream               b + line break, then the rest of the first program's text
#   Console.OpenStandardOutput   both texts, in order
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 TMPDIR="$folder"
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
</Project>
XML
cat > Program.cs <<'CS'
using Microsoft.Win32.SafeHandles;

using Stream output = args[0] == "file-stream" ? new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write) : Console.OpenStandardOutput();
output.Write("first\n"u8);
output.Flush();
CS
dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
{ dotnet out/app.dll file-stream; echo b; } > by-file-stream
{ dotnet out/app.dll console; echo b; } > by-console
[ "$(cat by-console)" = "first
b" ] || { echo "Console's stream behaves otherwise: $(cat by-console)"; exit 1; }
[ "$(cat by-file-stream)" = "b
rst" ] || { echo "FileStream behaves otherwise: $(cat by-file-stream)"; exit 1; }
echo "FileStream still leaves the offset of an inherited handle alone in .NET $(dotnet --version)'s runtime"

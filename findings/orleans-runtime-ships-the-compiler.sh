#!/bin/bash
# Microsoft.Orleans.Server 10.4.2 (NuGet): a program that hosts a silo is published with the C# compiler's assemblies, which nothing in it loads.
#
# Orleans.Runtime and its siblings list Microsoft.CodeAnalysis.Common and .Workspaces.Common 5.0.0 as ordinary dependencies. So Microsoft.CodeAnalysis.dll,
# Microsoft.CodeAnalysis.Workspaces.dll and Humanizer.dll stand beside every silo: more bytes than Orleans itself. No assembly of Orleans refers to them.
# A project that uses another compiler package of an exact version (BenchmarkDotNet does) cannot be restored beside them (NU1107).
# Why one would guess otherwise: code generators reach a project as analyzers, whose dependencies are no part of its output; Orleans' own generator does.
#
# Right result: the same output without these assemblies runs; ExcludeAssets="all" on a direct reference to each package leaves them out.
#
# Seen:
#   beside the program: Microsoft.CodeAnalysis.Workspaces.dll Microsoft.CodeAnalysis.dll
#   assemblies of Orleans that refer to them: 0
#   with ExcludeAssets: none, and the silo starts
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Orleans.Server" Version="10.4.2" />
  </ItemGroup>
  <ItemGroup Condition="'$(WithoutCompiler)' == 'true'">
    <PackageReference Include="Microsoft.CodeAnalysis.Common" Version="5.0.0" ExcludeAssets="all" />
    <PackageReference Include="Microsoft.CodeAnalysis.Workspaces.Common" Version="5.0.0" ExcludeAssets="all" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

var referring = Directory.GetFiles(AppContext.BaseDirectory, "Orleans*.dll").Count(path =>
{
    using var image = new PEReader(File.OpenRead(path));
    var reader = image.GetMetadataReader();
    return reader.AssemblyReferences.Any(handle => reader.GetString(reader.GetAssemblyReference(handle).Name).StartsWith("Microsoft.CodeAnalysis"));
});
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Host.UseOrleans(silo => silo.UseLocalhostClustering(FreePort(), FreePort()));
await using var app = builder.Build();
await app.StartAsync();
Console.WriteLine($"{referring} started");
await app.StopAsync();

static int FreePort()
{
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    return ((IPEndPoint)listener.LocalEndpoint).Port;
}
CS

compilers() { (cd "$1" && echo $(ls | grep '^Microsoft\.CodeAnalysis\..*dll$\|^Microsoft\.CodeAnalysis\.dll$' | LC_ALL=C sort)); }
dotnet publish app.csproj -o with -v quiet -nologo > log 2>&1 || { cat log; exit 1; }
beside=$(compilers with)
ran=$(dotnet with/app.dll)
rm -rf bin obj
dotnet publish app.csproj -o without -v quiet -nologo -p:WithoutCompiler=true > log 2>&1 || { cat log; exit 1; }
left=$(compilers without)
ran_without=$(dotnet without/app.dll)

echo "beside the program: $beside"
echo "assemblies of Orleans that refer to them: ${ran% *}"
echo "with ExcludeAssets: ${left:-none}, and the silo ${ran_without#* }"
[ "$beside" = "Microsoft.CodeAnalysis.Workspaces.dll Microsoft.CodeAnalysis.dll" ] && [ "$ran" = "0 started" ] && [ -z "$left" ] && [ "$ran_without" = "0 started" ] \
  || { echo "this has changed"; exit 1; }

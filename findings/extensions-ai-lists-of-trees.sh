#!/bin/bash
# Microsoft.Extensions.AI 10.11.0 with Microsoft.Extensions.AI.OpenAI 10.11.0 (NuGet): GetResponseAsync<T> for a list of a type that contains itself sends a schema whose
# references lead nowhere, or to the wrong place.
#
# A response format has to be an object. So where T is a list, GetResponseAsync<T> puts T's schema into the property "data" of an object, and takes the answer out of it again.
# A type that contains itself (a section with sections, a comment with replies, a step with smaller steps) has references in its schema. They are paths from the document's root,
# such as "#/items". The schema is moved one property down, and the paths stay as they were: there is no "items" at the root of what is sent. A server that follows references
# refuses the request, for a schema that nobody wrote. One that does not has no rule for all that is below the first level. For a list that contains itself the path is "#". That
# does exist: it is the object around it. So the schema asks for {"data": [{"data": []}]}, a server can hold a model to that, and the library then cannot read it as T.
# Why one would guess otherwise: the library makes the schema and the object around it, and documents that lists get one. A list of a type that does not contain itself is right,
# a type that contains itself is right without the list, and so is the same list as the one property of a record, which is the same JSON. The answer is read well in each case.
#
# Right result: the reference "#/properties/data/items", as the record has it. The server is a handler in this script's program.
#
# Seen:
#   T                    references that are sent               there is at that place
#   Section              #                                      a section
#   record Book(Data)    #/properties/data/items                a section
#   List<Section>        #/items                                nothing
#   Section[]            #/items                                nothing
#   Outline (a list)     #                                      the object with "data"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Extensions.AI" Version="[10.11.0]" />
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="[10.11.0]" />
  </ItemGroup>
</Project>
XML
cat > Program.cs <<'CS'
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using OpenAI;

const string One = """{"title": "Rain", "parts": [{"title": "Snow", "parts": []}]}""";
var server = new Server();
var options = new OpenAIClientOptions { Endpoint = new Uri("http://localhost/v1"), Transport = new HttpClientPipelineTransport(new HttpClient(server)) };
var chat = new OpenAIClient(new ApiKeyCredential("none"), options).GetChatClient("model").AsIChatClient();

await Ask<Section>("Section", One, section => section.Parts[0].Title);
await Ask<Book>("Book", $$"""{"data": [{{One}}]}""", book => book.Data[0].Parts[0].Title);
await Ask<List<Section>>("List<Section>", $$"""{"data": [{{One}}]}""", sections => sections[0].Parts[0].Title);
await Ask<Section[]>("Section[]", $$"""{"data": [{{One}}]}""", sections => sections[0].Parts[0].Title);
await Ask<Outline>("Outline", """{"data": [[]]}""", outline => $"{outline.Count}");
await Ask<Outline>("Outline, as the schema has it", """{"data": [{"data": []}]}""", outline => $"{outline.Count}");

async Task Ask<T>(string name, string answer, Func<T, string> read)
{
    server.Answer = answer;
    var response = await chat.GetResponseAsync<T>("What is in the book?");
    var result = response.TryGetResult(out var value) ? $"read {read(value)}" : "cannot be read";
    var places = References(server.Schema!).Distinct().Select(reference => $"{reference} is {Name(Follow(server.Schema!, reference))}");
    Console.WriteLine($"{name}: {string.Join(", ", places)}; answer {result}");
}

static IEnumerable<string> References(JsonNode? node) => node switch
{
    JsonObject thing => thing.SelectMany(member => member.Key == "$ref" ? [(string)member.Value!] : References(member.Value)),
    JsonArray list => list.SelectMany(References),
    _ => [],
};

static JsonNode? Follow(JsonNode root, string reference) =>
    reference.Split('/').Skip(1).Aggregate((JsonNode?)root, (node, step) => (node as JsonObject)?[step]);

static string Name(JsonNode? schema) =>
    schema?["properties"] is not JsonObject properties ? "nothing"
    : properties.ContainsKey("title") ? "a section" : "the object with " + string.Join(" and ", properties.Select(property => property.Key));

record Section(string Title, List<Section> Parts);
record Book(List<Section> Data);
class Outline : List<Outline>;

sealed class Server : HttpMessageHandler
{
    public string Answer { get; set; } = "";
    public JsonNode? Schema { get; private set; }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        Schema = JsonNode.Parse(await request.Content!.ReadAsStringAsync(cancellation))!["response_format"]!["json_schema"]!["schema"];
        var body = new JsonObject
        {
            ["id"] = "answer", ["object"] = "chat.completion", ["created"] = 1, ["model"] = "model",
            ["choices"] = new JsonArray(new JsonObject
            {
                ["index"] = 0, ["finish_reason"] = "stop", ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = Answer },
            }),
        };
        return new HttpResponseMessage { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
    }
}
CS

timeout 300 dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 60 dotnet out/app.dll)
echo "$seen"
[ "$seen" = 'Section: # is a section; answer read Snow
Book: #/properties/data/items is a section; answer read Snow
List<Section>: #/items is nothing; answer read Snow
Section[]: #/items is nothing; answer read Snow
Outline: # is the object with data; answer read 1
Outline, as the schema has it: # is the object with data; answer cannot be read' ] || { echo "the behaviour has changed"; exit 1; }
echo "the schema of a list of trees still has references that lead nowhere"

using System.Text.Json.Nodes;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Bodies of requests that are right but for what a test adds.</summary>
static class Requests
{
    public static string Chat(string more = "{}") => Join("""{"messages":[{"role":"user","content":"Hi"}]}""", more);

    public static string Completion(string more = "{}") => Join("""{"prompt":"Hi"}""", more);

    static string Join(string body, string more)
    {
        var joined = JsonNode.Parse(body)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(more)!.AsObject()) joined[name] = value?.DeepClone();
        return joined.ToJsonString();
    }
}

namespace LlamaCluster.Cli.Commands;

/// <summary>The key that commands show to a cluster that asks for one. It is no option: other users of a machine can read those.</summary>
static class ClientKey
{
    public const string Variable = "LLAMACLUSTER_API_KEY";

    public static void AddTo(HttpClient http)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } key) http.DefaultRequestHeaders.Authorization = new("Bearer", key);
    }
}

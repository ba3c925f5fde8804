using System.Text;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`up` with the demo model, once chat works.</summary>
sealed class LocalCluster : IAsyncDisposable
{
    LocalCluster(CliProcess process, string url)
    {
        Process = process;
        Http = new HttpClient { BaseAddress = new Uri(url), Timeout = CliProcess.Deadline };
    }

    public CliProcess Process { get; }

    public HttpClient Http { get; }

    public static Task<LocalCluster> StartAsync(params string[] options) => StartWithAsync([], options);

    /// <param name="environment">See <see cref="CliProcess.StartWith"/>.</param>
    public static async Task<LocalCluster> StartWithAsync(Dictionary<string, string?> environment, params string[] options)
    {
        var process = CliProcess.StartWith(environment, ["up", "--port", "0", .. options]);
        try
        {
            var ready = (await process.OutputLineAsync()).Split(' ');
            Assert.Equal("ready", ready[0]);
            Assert.StartsWith("model=", ready[2]);
            return new(process, ready[1]);
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    public Task<HttpResponseMessage> ChatAsync(string more = "") => Http.SendAsync(
        new(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(
                $$"""{"messages":[{"role":"user","content":"What is a KV cache?"}],"temperature":0{{more}}}""", Encoding.UTF8, "application/json"),
        },
        HttpCompletionOption.ResponseHeadersRead);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Process.DisposeAsync();
    }
}

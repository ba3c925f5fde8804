using System.Net.Http.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cli.Up;

/// <summary>Sends one chat to the API before anybody waits for one, so that code that only requests use is compiled. The answer does not matter.</summary>
static class FirstChat
{
    /// <summary>A model that needs longer than this gains nothing from a first chat.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <param name="key">Null: the API asks for none.</param>
    /// <exception cref="CommandFailedException">Nobody answers at this address.</exception>
    public static async Task HoldAsync(Uri api, string model, string? key, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(Patience);
        using var http = new HttpClient(HttpHandlers.Direct()) { BaseAddress = api };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        var request = new { model, messages = new[] { new { role = "user", content = "Hello" } }, max_tokens = 2, stream = true };
        try
        {
            using var answer = await http.PostAsJsonAsync("/v1/chat/completions", request, deadline.Token);
            await answer.Content.CopyToAsync(Stream.Null, deadline.Token);
        }
        catch (HttpRequestException failure)
        {
            throw new CommandFailedException($"the API does not answer at {api.GetLeftPart(UriPartial.Authority)}: {failure.Message}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return;   // the model is slow, but ready
        }
    }
}

using System.Text;
using System.Text.Json.Nodes;

namespace LlamaCluster.Coordinator.Tests.Soak;

/// <summary>Sends requests over HTTP, as whole answers, as streams, and as streams that it does not read to the end.</summary>
sealed class SoakClient(HttpClient http)
{
    /// <summary>The choices of a whole answer, as their JSON.</summary>
    public async Task<string> WholeAsync(SoakRequest request)
    {
        using var response = await SendAsync(request.Body(), CancellationToken.None);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!["choices"]!.ToJsonString();
    }

    /// <summary>Reads so many chunks of a stream at most, and then hangs up.</summary>
    /// <returns>The texts of its choices, and how they finished as far as that was read.</returns>
    public async Task<(string[] Texts, string?[] Finishes)> StreamAsync(SoakRequest request, int chunks)
    {
        var body = request.Body();
        body["stream"] = true;
        using var hangUp = new CancellationTokenSource();
        using var response = await SendAsync(body, hangUp.Token);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var count = (int?)body["n"] ?? 1;
        var (texts, finishes) = (Enumerable.Range(0, count).Select(_ => new StringBuilder()).ToArray(), new string?[count]);
        while (chunks-- > 0 && await NextAsync(reader) is { } choice)
        {
            var index = (int)choice["index"]!;
            texts[index].Append((string)choice["text"]!);
            finishes[index] ??= (string?)choice["finish_reason"];
        }
        await hangUp.CancelAsync();
        return ([.. texts.Select(text => text.ToString())], finishes);
    }

    /// <summary>Hangs up as soon as the request is on its way.</summary>
    public async Task AbandonAsync(SoakRequest request)
    {
        using var hangUp = new CancellationTokenSource();
        var answer = SendAsync(request.Body(), hangUp.Token);
        await hangUp.CancelAsync();
        await ((Task)answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (answer.IsCompletedSuccessfully) (await answer).Dispose();
    }

    static async Task<JsonNode?> NextAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            var chunk = JsonNode.Parse(line["data: ".Length..])!;
            Assert.True(chunk["error"] is null, line);
            return chunk["choices"]![0];
        }
        return null;
    }

    async Task<HttpResponseMessage> SendAsync(JsonObject body, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        Assert.True(
            response.IsSuccessStatusCode,
            $"{(int)response.StatusCode}: {(response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync(cancellation))}");
        return response;
    }
}

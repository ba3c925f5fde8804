using System.Net;
using LlamaCluster.Primitives;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>
/// What the API lets pass, workers take: each option at its edges through two real workers. An option that a worker refused would end its request
/// with an error, and one that ended the view would fail the requests after it.
/// </summary>
public sealed class SamplingEdgeTests
{
    [Fact]
    public async Task Every_sampling_option_works_at_its_edges_and_is_refused_by_name_beyond_them()
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "2", "--threads-per-worker", "1");
        SamplingRange[] ranges =
        [
            SamplingRanges.Temperature, SamplingRanges.TopP, SamplingRanges.MinP, SamplingRanges.RepetitionPenalty, SamplingRanges.FrequencyPenalty,
            SamplingRanges.PresencePenalty,
        ];
        foreach (var range in ranges)
        {
            var least = range.ExcludesLeast ? float.BitIncrement(range.Least) : range.Least;
            await ExpectAsync(cluster, HttpStatusCode.OK, $"\"{range.Name}\":{least:R}");
            await ExpectAsync(cluster, HttpStatusCode.OK, $"\"{range.Name}\":{range.Most:R}");
            await ExpectAsync(cluster, HttpStatusCode.BadRequest, $"\"{range.Name}\":{float.BitDecrement(range.Least):R}", range.Name);
            await ExpectAsync(cluster, HttpStatusCode.BadRequest, $"\"{range.Name}\":{float.BitIncrement(range.Most):R}", range.Name);
        }
        await ExpectAsync(cluster, HttpStatusCode.BadRequest, "\"top_p\":1e-50", "top_p");
        await ExpectAsync(cluster, HttpStatusCode.OK, "\"top_p\":0");
        await ExpectAsync(cluster, HttpStatusCode.OK, "\"min_tokens\":3,\"stop_token_ids\":[5]", "\"completion_tokens\":3");
        await ExpectAsync(cluster, HttpStatusCode.BadRequest, "\"repetition_penalty\":0.005", "repetition_penalty");
        await ExpectAsync(cluster, HttpStatusCode.OK, "\"top_k\":-1,\"seed\":-9223372036854775808");
        await ExpectAsync(cluster, HttpStatusCode.OK, "\"top_k\":2147483647,\"seed\":9223372036854775807");
        await ExpectAsync(cluster, HttpStatusCode.OK, "\"logit_bias\":{\"5\":-100,\"6\":100}");
        await ExpectAsync(cluster, HttpStatusCode.BadRequest, "\"logit_bias\":{\"5\":100.5}", "logit_bias");
        await ExpectAsync(cluster, HttpStatusCode.OK, $"\"logprobs\":true,\"top_logprobs\":{SamplingRanges.MaxTopLogprobs}");
        await ExpectAsync(cluster, HttpStatusCode.BadRequest, $"\"logprobs\":true,\"top_logprobs\":{SamplingRanges.MaxTopLogprobs + 1}", "top_logprobs");
    }

    static async Task ExpectAsync(LocalCluster cluster, HttpStatusCode expected, string fields, string named = "")
    {
        var temperature = fields.Contains("temperature") ? "" : "\"temperature\":1,";
        using var request = new StringContent(
            $$"""{"messages":[{"role":"user","content":"What is a KV cache?"}],"max_tokens":3,{{temperature}}{{fields}}}""",
            System.Text.Encoding.UTF8, "application/json");
        using var answer = await cluster.Http.PostAsync("/v1/chat/completions", request);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == expected && body.Contains(named), $"{fields}: {(int)answer.StatusCode} {body}");
    }
}

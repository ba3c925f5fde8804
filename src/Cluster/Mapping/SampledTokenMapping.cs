using LlamaCluster.Primitives;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Mapping;

/// <summary>Sampled tokens as messages, and back.</summary>
public static class SampledTokenMapping
{
    public static Wire.SampledToken ToMessage(this SampledToken token) => new()
    {
        Id = token.Id,
        Logprob = token.Logprob,
        TopIds = { token.Top.Select(top => top.Id) },
        TopLogprobs = { token.Top.Select(top => top.Logprob) },
    };

    /// <param name="vocabularySize">V: ids are below it.</param>
    /// <exception cref="InvalidMessageException">An id is out of range, or a list has another length than its companion.</exception>
    public static SampledToken ToToken(this Wire.SampledToken token, int vocabularySize)
    {
        Field.Count("a sampled id", token.Id, 0, vocabularySize - 1);
        if (token.TopIds.Count != token.TopLogprobs.Count)
            throw new InvalidMessageException($"{token.TopIds.Count} top_ids with {token.TopLogprobs.Count} top_logprobs");
        if (token.TopIds.Count == 0) return new SampledToken(token.Id, token.Logprob, []);
        var top = new TokenLogprob[token.TopIds.Count];
        for (var i = 0; i < top.Length; i++)
            top[i] = new TokenLogprob(Field.Count("a top id", token.TopIds[i], 0, vocabularySize - 1), token.TopLogprobs[i]);
        return new SampledToken(token.Id, token.Logprob, top);
    }
}

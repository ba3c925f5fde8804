using System.Buffers.Binary;
using System.Security.Cryptography;
using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>The sequences of a request: n per prompt, in the order of OpenAI's indices (all choices of the first prompt first).</summary>
static class ChoicePlan
{
    public static IReadOnlyList<ChoiceRequest> Make(IReadOnlyList<EncodedPrompt> prompts, bool echo, GenerationSettings settings, string client, int context)
        => [.. from prompt in prompts.Index()
               from choice in Enumerable.Range(0, settings.Choices)
               select MakeOne(prompt.Index * settings.Choices + choice, prompt.Index, prompt.Item, SeedOf(settings, choice), echo, settings, client, context)];

    static ChoiceRequest MakeOne(int index, int promptIndex, EncodedPrompt prompt, ulong seed, bool echo, GenerationSettings settings, string client, int context)
    {
        var tokens = ContextRules.TokensFor(prompt, settings, context);
        var sampling = settings.Sampling with { Seed = seed, PromptLogprobs = echo && settings.Sampling.TopLogprobs is not null };
        // A prompt is scored by a sequence too, which makes one token at least.
        var sequence = new SequenceRequest(prompt.Ids, sampling, Math.Max(1, tokens), settings.StopIds)
        {
            Priority = settings.Priority,
            Client = client,
            CacheSalt = settings.CacheSalt,
        };
        return new(index, promptIndex, sequence, settings.Stops, echo ? prompt : null, Hidden: tokens == 0);
    }

    /// <summary>The same seed gives the same choices again, each other than its neighbour.</summary>
    static ulong SeedOf(GenerationSettings settings, int choice)
    {
        if (settings.Seed is { } seed) return unchecked((ulong)(seed + choice));
        Span<byte> random = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(random);
        return BinaryPrimitives.ReadUInt64LittleEndian(random);
    }
}

using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Model.Config;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>
/// A model of numbers that are mixed instead of multiplied: every token and every log-probability depends on every key and value of every layer before
/// it. A row that is computed twice with other neighbours, a block that holds somebody else's positions, a token that is lost: each of them shows in
/// the next number.
/// </summary>
sealed class SimModel(int layers)
{
    public const int Vocabulary = 64;

    /// <summary>Generated ids are below it; those above stand in prompts only.</summary>
    const int Generated = 60;

    /// <summary>Ends the process of the last stage that computes it.</summary>
    public const int DeadlyToken = 63;

    /// <summary>A stage that computes it answers that the step failed.</summary>
    public const int BadToken = 62;

    public static ModelIdentity Identity { get; } = new("simulated", new string('5', ModelIdentity.DigestLength));

    public int Layers => layers;

    public LlamaConfig Config { get; } = new()
    {
        LayerCount = layers,
        HiddenSize = 64,
        FfnSize = 64,
        HeadCount = 2,
        KvHeadCount = 2,
        HeadSize = 32,
        VocabularySize = Vocabulary,
        ContextLength = 2048,
        RmsEpsilon = 1e-5f,
        RopeTheta = 10000,
        RopeDimensionCount = 32,
        TiedEmbeddings = false,
    };

    public ModelFootprint Footprint { get; } = new(
        "simulated", new SplitSizes { HeadCount = 2, KvHeadCount = 2, FfnSize = 64, VocabularySize = Vocabulary, ColumnBlock = 32 },
        [.. Enumerable.Repeat(new LayerFootprint([Weights(LayerBytes / 2)], [Weights(LayerBytes / 2)], 0), layers)],
        Weights(1000), Weights(1000), KvBlockBytes: 1000)
    {
        HiddenSize = 64,
        ContextLength = 2048,
        TiedEmbeddings = false,
    };

    public const long LayerBytes = 1_000_000;

    public static ulong Embed(int token, int position) => Mix((ulong)token * 0x100000001B3 + (ulong)position);

    /// <summary>What a layer keeps of a position.</summary>
    public static ulong Key(ulong x, int layer) => Mix(x + (ulong)layer * 0x9E3779B97F4A7C15);

    /// <summary>A position's part of what later ones see of it.</summary>
    public static ulong Seen(ulong key, int position) => Mix(key ^ ((ulong)position << 32));

    /// <param name="seen">All positions' parts, this one's too, summed.</param>
    public static ulong Next(ulong x, ulong seen) => Mix(x ^ seen);

    /// <param name="history">Of the tokens up to here, where sampling asks for them; else 0.</param>
    public static SampledToken Choose(ulong x, int position, SamplingOptions sampling, ulong history)
    {
        var z = Mix(x ^ sampling.Seed ^ history);
        var id = z % 16 < 11 ? position * 7 % 5 + 1 : (int)(z >> 20) % Generated;   // much of it repeats, so that guesses are right at times
        return new SampledToken(id < 0 ? -id : id, Logprob(x, id), []);
    }

    public static float Logprob(ulong x, int id) => -(float)(Mix(x + (ulong)id) >> 40);

    public static ulong History(ulong history, int token) => Mix(history + (ulong)token);

    /// <summary>What an undisturbed run gives.</summary>
    public SimAnswer Answer(SequenceRequest request)
    {
        var seen = new ulong[layers];
        var (history, x) = (0UL, 0UL);
        List<SampledToken> prompt = [], tokens = [];
        for (var position = 0; ; position++)
        {
            var isPrompt = position < request.Prompt.Count;
            var token = isPrompt ? request.Prompt[position] : tokens[position - request.Prompt.Count].Id;
            if (isPrompt && position > 0 && request.Sampling.PromptLogprobs) prompt.Add(new SampledToken(token, Logprob(x, token), []));
            history = History(history, token);
            x = Embed(token, position);
            for (var layer = 0; layer < layers; layer++)
            {
                seen[layer] += Seen(Key(x, layer), position);
                x = Next(x, seen[layer]);
            }
            if (position < request.Prompt.Count - 1) continue;
            if (request.MaxTokens == 0) return new SimAnswer(prompt, tokens, FinishReason.Length);
            tokens.Add(Choose(x, position, request.Sampling, request.Sampling.NeedsHistory ? history : 0));
            if (request.StopIds.Contains(tokens[^1].Id)) return new SimAnswer(prompt, tokens, FinishReason.Stop);
            if (tokens.Count == request.MaxTokens) return new SimAnswer(prompt, tokens, FinishReason.Length);
        }
    }

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    static TypedWeights Weights(long bytes) => new("Q4_0", bytes * 32 / 18.0, bytes);
}

sealed record SimAnswer(IReadOnlyList<SampledToken> Prompt, IReadOnlyList<SampledToken> Tokens, FinishReason Reason);

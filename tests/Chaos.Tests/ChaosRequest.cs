using System.Text.Json.Nodes;

namespace LlamaCluster.Chaos.Tests;

/// <summary>A completion request with an answer of its own; the same number is always the same request.</summary>
sealed record ChaosRequest(int Number)
{
    static readonly string[] Beginnings =
    [
        "Once upon a time there was a cluster of machines.",
        "What is a KV cache? A KV cache keeps the keys and values of all positions, so that they are not computed again for each token.",
        "def attention(q, k, v):",
        "The quick brown fox",
    ];

    /// <summary>The most positions of KV cache that it comes to need.</summary>
    public const int MaxPositions = 240;

    public bool IsStream { get; } = Number % 3 != 0;

    public JsonObject Body()
    {
        var random = new Random(Number);
        var body = new JsonObject
        {
            ["prompt"] = Beginnings[random.Next(Beginnings.Length)] + " " + Number,
            ["max_tokens"] = random.Next(20, 150),
            ["temperature"] = random.Next(2) == 0 ? 0.8 : 0,
            ["seed"] = random.Next(1000),
            ["ignore_eos"] = random.Next(4) > 0,
            ["logprobs"] = random.Next(3),
            ["user"] = $"client-{random.Next(3)}",
            ["priority"] = random.Next(2),
            ["stream"] = IsStream,
        };
        if (random.Next(4) == 0) body["n"] = 2;
        if (random.Next(3) == 0) body["stop"] = new JsonArray("e k", "zz");
        if (random.Next(3) == 0) body["repetition_penalty"] = 1.1;
        if (random.Next(5) == 0) body["echo"] = true;
        return body;
    }
}

using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Tests.Fakes;

namespace LlamaCluster.Coordinator.Tests.Soak;

/// <summary>A random completion request; the same number is always the same request.</summary>
sealed record SoakRequest(int Number)
{
    /// <summary>Tokens of prompt and answer at most.</summary>
    public const int MaxPositions = 140;

    static readonly int[] Text = DemoCase.Text(400);

    /// <summary>Without the fields that say how it is to be answered.</summary>
    public JsonObject Body()
    {
        var random = new Random(Number);
        var length = random.Next(1, 101);
        var body = new JsonObject
        {
            // A few beginnings, so that prompts share them.
            ["prompt"] = new JsonArray([.. Text.Skip(37 * random.Next(4)).Take(length).Select(id => JsonValue.Create(id))]),
            ["max_tokens"] = random.Next(1, MaxPositions - 100 + 1),
            ["temperature"] = random.Next(3) == 0 ? 0.8 : 0,
            ["seed"] = random.Next(1000),
            ["ignore_eos"] = random.Next(2) == 0,
        };
        if (random.Next(4) == 0) body["n"] = random.Next(2, 4);
        if (random.Next(3) == 0) body["stop"] = new JsonArray("e", "a KV");
        if (random.Next(3) == 0) body["logprobs"] = random.Next(3);
        if (random.Next(5) == 0) body["repetition_penalty"] = 1.1;
        if (random.Next(5) == 0) body["echo"] = true;
        return body;
    }
}

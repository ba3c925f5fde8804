using System.Text.Json;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A prompt for the demo model, and what llama.cpp generates after it.</summary>
sealed record DemoCase(int[] Prompt, int[] Tokens)
{
    public static DemoCase[] All { get; } = Read();

    /// <summary>So many tokens of the prompts, one after the other and again.</summary>
    public static int[] Text(int length) => [.. Enumerable.Repeat(All, length).SelectMany(cases => cases.SelectMany(one => one.Prompt)).Take(length)];

    static DemoCase[] Read()
    {
        using var fixture = JsonDocument.Parse(File.ReadAllText(SharedFiles.Fixture("demo-q8_0-greedy.json")));
        return [.. fixture.RootElement.GetProperty("cases").EnumerateArray().Select(one => new DemoCase(Ids(one, "prompt_tokens"), Ids(one, "tokens")))];

        static int[] Ids(JsonElement one, string name) => [.. one.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
    }
}

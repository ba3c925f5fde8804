using System.Text.Json;

namespace LlamaCluster.Testing;

/// <summary>
/// What llama.cpp generated greedily from a model (tests/Fixtures/NAME-greedy.json): for each prompt its ids, and for each step the chosen id,
/// its log-probability and those of the ten most probable ids.
/// </summary>
public sealed record GreedyFixture(IReadOnlyList<GreedyFixture.Case> Cases)
{
    static readonly JsonSerializerOptions Names = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <param name="name">For example <c>demo-q8_0</c>.</param>
    public static GreedyFixture Read(string name) =>
        JsonSerializer.Deserialize<GreedyFixture>(File.ReadAllText(SharedFiles.Fixture($"{name}-greedy.json")), Names)!;

    /// <param name="Stop"><c>eos</c>, or <c>limit</c> where the number of tokens was limited.</param>
    public sealed record Case(string Prompt, int[] PromptTokens, string Text, int[] Tokens, string Stop, Step[] Steps);

    /// <param name="Top">Id and log-probability, best first.</param>
    public sealed record Step(int Id, double Logprob, double[][] Top);
}

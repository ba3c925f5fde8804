namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>
/// A model whose next token follows from all tokens before it, as a real one's does, so that a test knows every answer beforehand and a wrong
/// KV cache gives a wrong one.
/// </summary>
static class FakeModel
{
    const int LowestId = 3;
    const int Ids = 250;

    /// <summary>What the KV of a position stands for: its token after those before it (0: none).</summary>
    public static ulong Kv(ulong before, int token) => ((before * 6364136223846793005) + (ulong)token + 1) | 1;

    public static ulong Kv(IEnumerable<int> tokens) => tokens.Aggregate(0ul, Kv);

    /// <summary>The token that follows a position.</summary>
    public static int Next(ulong kv) => LowestId + (int)((kv >> 33) % Ids);

    /// <summary>What is generated after a prompt.</summary>
    public static int[] Continue(IReadOnlyList<int> prompt, int count)
    {
        var tokens = new int[count];
        var kv = Kv(prompt);
        for (var i = 0; i < count; i++) kv = Kv(kv, tokens[i] = Next(kv));
        return tokens;
    }
}

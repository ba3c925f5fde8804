namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A model whose next token follows from the last token and its position, so that a test knows every answer beforehand.</summary>
static class FakeModel
{
    const int LowestId = 3;
    const int Ids = 250;

    public static int Next(int token, int position) => LowestId + (token * 31 + position * 7 + 11) % Ids;

    /// <summary>What is generated after a prompt.</summary>
    public static int[] Continue(IReadOnlyList<int> prompt, int count)
    {
        var tokens = new int[count];
        var last = prompt[^1];
        for (var i = 0; i < count; i++) tokens[i] = last = Next(last, prompt.Count - 1 + i);
        return tokens;
    }
}

namespace LlamaCluster.Worker.Links.Sums;

/// <summary>Consecutive numbers of a sum.</summary>
readonly record struct SumRange(int First, int Count)
{
    public Span<float> Of(Span<float> values) => values.Slice(First, Count);

    public ReadOnlySpan<float> Of(ReadOnlySpan<float> values) => values.Slice(First, Count);
}

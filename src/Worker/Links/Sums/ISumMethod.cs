using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Worker.Links.Sums;

/// <summary>How a group of ranks adds up. See <see cref="IRankExchange"/> for what begin and complete owe.</summary>
interface ISumMethod
{
    void Begin(ReadOnlySpan<float> own);

    void Complete(Span<float> own);
}

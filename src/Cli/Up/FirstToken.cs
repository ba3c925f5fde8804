using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Up;

/// <summary>The proof that a cluster works: one token, through all stages.</summary>
static class FirstToken
{
    public static async Task<bool> ComesAsync(IGenerationEngine engine, CancellationToken cancellation)
    {
        var request = new SequenceRequest([0], new SamplingOptions(), MaxTokens: 1, StopIds: new HashSet<int>());
        await foreach (var happened in engine.GenerateAsync(request, cancellation))
            if (happened is SequenceEvent.Finished) return true;
        return false;
    }
}

using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>What the supervisor brings up.</summary>
/// <param name="Workers">How many workers a plan is made for, if so many are there.</param>
/// <param name="MinWorkers">With fewer than these no plan is made.</param>
/// <param name="Streams">That plans are to be good for.</param>
/// <param name="MaxSequenceLength">The most tokens of one sequence.</param>
/// <param name="VocabularySize">V.</param>
/// <param name="BufferBytes">What a worker needs beside weights and KV cache, at the most.</param>
/// <param name="KvBlocks">KV blocks wanted; less where memory does not suffice.</param>
public sealed record SupervisorOptions(
    ModelIdentity Model, ModelFootprint Footprint, string ModelPath, int Workers, int MinWorkers, int? TensorParallel, PlanObjective Objective, int Streams,
    int MaxSequenceLength, int VocabularySize, long BufferBytes, int KvBlocks, EngineOptions Engine, ClusterDeadlines Deadlines)
{
    /// <summary>A plan that leaves room for less KV than a short conversation is none.</summary>
    const int MinKvTokens = 256;

    /// <summary>Whether ranks of a stage have whole experts.</summary>
    public ExpertParallel ExpertParallel { get; init; }

    /// <summary>The model's tokens, for answers that must have a form. Null: there are none.</summary>
    public ITokenizer? Tokenizer { get; init; }

    /// <summary>What sequences may name as their adapters; none by default.</summary>
    public AdapterRegistry Adapters { get; init; } = AdapterRegistry.Empty;

    /// <summary>Workers give each other the model's weights.</summary>
    public bool SharesWeights { get; init; }

    /// <summary>Asks for a plan of these workers, for the model with the adapters that there are now.</summary>
    public PlanRequest RequestFor(ulong viewVersion, IReadOnlyList<CandidateWorker> workers)
    {
        var leastKv = Math.Min(KvBlocks, KvBlock.CountFor(MinKvTokens));
        return new PlanRequest(viewVersion, Model, Adapters.AddTo(Footprint), workers, TensorParallel, BufferBytes, KvBlocks, leastKv)
        {
            Context = MaxSequenceLength,
            Objective = Objective,
            Streams = Streams,
            ExpertParallel = ExpertParallel,
        };
    }
}

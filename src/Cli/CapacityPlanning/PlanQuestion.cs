using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>What `plan` is asked, apart from the cluster.</summary>
/// <param name="Positions">Per stream.</param>
/// <param name="RanksPerStage">Null: the planner chooses.</param>
sealed record PlanQuestion(PlannedModel Model, PlanObjective Objective, int Positions, int Streams, int? RanksPerStage, ExpertParallel ExpertParallel)
{
    public PlanningProblem On(ClusterDescription cluster) => On(cluster, goal => goal);

    public PlanningProblem On(ClusterDescription cluster, Func<PlanGoal, PlanGoal> change) =>
        new(Model.Footprint, cluster.ToProfile(), change(Goal), new Overheads());

    PlanGoal Goal => PlanGoal.Of(Objective, Positions, Streams) with
    {
        RanksPerStage = RanksPerStage,
        ExpertParallel = ExpertParallel,
        PromptRows = new EngineOptions().MaxPromptRows,
        BufferBytes = Model.BufferBytes,
    };
}

/// <summary>The model to plan for, from a file's headers, or from a shape with a quantisation. No weights are read.</summary>
/// <param name="BufferBytes">What a worker needs besides weights and KV cache.</param>
sealed record PlannedModel(ModelFootprint Footprint, LlamaConfig Config, long BufferBytes)
{
    const string UsualMix = "q4_k_m";

    /// <exception cref="ModelFormatException">Files are missing, damaged or not supported.</exception>
    public static PlannedModel OfFile(string path, KvType kvType)
    {
        using var weights = ModelFiles.Open(path);
        return Of(ModelFootprints.Of(weights, kvType), weights.Config);
    }

    /// <param name="mix">One of <see cref="TensorMix.Names"/>; null: q4_k_m.</param>
    /// <exception cref="InvalidOptionsException">The shape or the mix is unknown.</exception>
    /// <exception cref="ModelFormatException">A matrix of this shape cannot be stored in its type.</exception>
    public static PlannedModel OfShape(string text, string? mix, KvType kvType)
    {
        var (shape, name) = (ShapeOption.Parse(text), mix ?? UsualMix);
        var tensors = TensorMix.TensorsOf(shape.Config, name)
            ?? throw new InvalidOptionsException($"--quant is {name}; it must be one of {string.Join(", ", TensorMix.Names)}");
        return Of(ModelFootprints.Of($"{shape.Name} {name.ToLowerInvariant()}", shape.Config, tensors, kvType), shape.Config);
    }

    /// <summary>Bytes that workers keep for adapters, in all.</summary>
    public double RoomBytes => Footprint.Layers.Sum(layer => (double)layer.AdapterBytes);

    /// <summary>The model with room for adapters of so many ranks, added up.</summary>
    public PlannedModel WithRoom(int ranks)
    {
        if (ranks == 0) return this;
        var more = StageMemory.AdapterBufferBytes(
            Config, StageShape.Whole(Config.LayerCount), StageSlice.Whole(Config),
            new EngineOptions().MaxStepRows, new AdapterOptions().MaxRank, Config.VocabularySize);
        return this with { Footprint = new AdapterRoom(Config, ranks, vocabularyRows: 0).AddTo(Footprint, []), BufferBytes = BufferBytes + more };
    }

    static PlannedModel Of(ModelFootprint footprint, LlamaConfig config) => new(
        footprint, config, StageMemory.BufferBytes(config, StageShape.Whole(config.LayerCount), new EngineOptions().MaxStepRows));
}

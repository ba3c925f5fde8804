using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>The model that a coordinator serves, and what follows from it and the options.</summary>
sealed class OpenedModel : IDisposable
{
    const int LongestName = 200;

    /// <summary>KV positions that are made room for where nothing else is said; see <see cref="EngineOptions.KvTokens"/>.</summary>
    const int UsualKvTokens = 65536;

    OpenedModel(string name, IModelWeights files, string digest, int contextLength)
    {
        Identity = new ModelIdentity(CleanName(name), digest);
        Weights = new ServedWeights(files, Identity.Name, digest);
        ContextLength = contextLength;
    }

    public ModelIdentity Identity { get; }

    public ServedWeights Weights { get; }

    public int ContextLength { get; }

    public int VocabularySize => Weights.Files.Config.VocabularySize;

    /// <exception cref="ModelFormatException">The files are no model that can be served.</exception>
    /// <exception cref="InvalidOptionsException">An option does not go with the model.</exception>
    public static OpenedModel Open(CoordinatorOptions options)
    {
        var files = ModelFiles.Open(options.ModelPath);
        try
        {
            return new OpenedModel(
                ModelFiles.IdOf(options.ModelPath), files, files.ComputeDigest(), CoordinatorOptionsRules.ContextLength(options, files.Config.ContextLength));
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    public SupervisorOptions ToSupervisorOptions(CoordinatorOptions options)
    {
        var engine = options.Engine;
        var tokens = engine.KvTokens ?? Math.Max(ContextLength, Math.Min((long)engine.MaxRunning * ContextLength, UsualKvTokens));
        var bufferBytes = StageMemory.BufferBytes(Weights.Files.Config, StageShape.Whole(Weights.Files.Config.LayerCount), engine.MaxStepRows);
        return new SupervisorOptions(
            Identity, ModelFootprints.Of(Weights.Files, engine.KvType), ModelFiles.FullPath(options.ModelPath), options.Workers, options.TensorParallel, options.Objective, options.Streams,
            ContextLength, VocabularySize, bufferBytes, KvBlock.CountFor((int)tokens), engine, options.Deadlines);
    }

    public void Dispose() => Weights.Files.Dispose();

    /// <summary>A file may be called anything; it goes into plans, logs and answers.</summary>
    static string CleanName(string name)
    {
        var clean = new string([.. name.Where(letter => !char.IsControl(letter)).Take(LongestName)]).Trim();
        return clean.Length == 0 ? "model" : clean;
    }
}

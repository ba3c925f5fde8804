using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Planning;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>The model that a coordinator serves, and what follows from it and the options.</summary>
sealed class OpenedModel : IDisposable
{
    const int LongestName = 200;

    /// <summary>KV positions that are made room for where nothing else is said; see <see cref="EngineOptions.KvTokens"/>.</summary>
    const int UsualKvTokens = 65536;

    OpenedModel(IModelWeights files, string digest, int contextLength)
    {
        Identity = new ModelIdentity(CleanName(files.Name), digest);
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
            return new OpenedModel(files, files.ComputeDigest(), CoordinatorOptionsRules.ContextLength(options, files.Config.ContextLength));
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
        return new SupervisorOptions(
            Identity, ModelFootprint.Of(Weights.Files, engine.KvType), Path.GetFullPath(options.ModelPath), options.Workers, options.TensorParallel,
            ContextLength, VocabularySize, BufferBytes(engine.MaxStepRows), KvBlockPool.BlocksFor((int)tokens), engine, options.Deadlines);
    }

    public void Dispose() => Weights.Files.Dispose();

    /// <summary>Rows of activations at every point of a layer that could be kept at a time, and of logits; more than a worker takes.</summary>
    long BufferBytes(int rows)
    {
        var config = Weights.Files.Config;
        return sizeof(float) * (long)rows * (8L * config.HiddenSize + 4L * config.FfnSize + config.VocabularySize);
    }

    /// <summary>A name out of a file may be anything; it goes into plans, logs and answers.</summary>
    static string CleanName(string name)
    {
        var clean = new string([.. name.Where(letter => !char.IsControl(letter)).Take(LongestName)]).Trim();
        return clean.Length == 0 ? "model" : clean;
    }
}

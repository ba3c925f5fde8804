using System.Collections.Immutable;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>A low-rank adapter that requests may name in the model's place.</summary>
/// <param name="Name">The name that clients ask for.</param>
/// <param name="Digest">Of all of its content.</param>
/// <param name="Weights">Its tensors, for the Weights service.</param>
/// <param name="Hashes">What parts of these hash to.</param>
/// <param name="Created">When its files were last changed.</param>
public sealed record ServedAdapter(string Name, string Path, string Digest, AdapterWeights Weights, PartHashes Hashes, DateTimeOffset Created) : IDisposable
{
    /// <summary>What workers must know before they can ask for its tensors.</summary>
    public Adapter ToMessage() => new()
    {
        Digest = Digest,
        Matrices =
        {
            Weights.Pairs.Select(pair => new AdapterMatrix
            {
                Target = pair.Target.Name,
                Rank = (uint)pair.Rank,
                AType = (uint)pair.A.Type,
                BType = (uint)pair.B.Type,
                Scale = pair.Scale,
            }),
        },
    };

    public void Dispose()
    {
        Hashes.Dispose();
        Weights.Dispose();
    }
}

/// <summary>The adapters that are served. Safe for concurrent use: who looks sees one set or the next.</summary>
/// <param name="maxRank">The greatest rank that any may have; 0: there are none, and none can be.</param>
public sealed class AdapterRegistry(ImmutableArray<ServedAdapter> adapters, int maxRank) : IDisposable
{
    public static AdapterRegistry Empty { get; } = new([], 0);

    /// <summary>In the order in which they came.</summary>
    public ImmutableArray<ServedAdapter> All => adapters;

    /// <summary>Workers make room for products of this rank.</summary>
    public int MaxRank => maxRank;

    /// <summary>Opens the adapters that an operator names.</summary>
    /// <param name="modelName">No adapter may have it.</param>
    /// <exception cref="InvalidOptionsException">Two have the same name, there are too many, or one has too great a rank.</exception>
    /// <exception cref="ModelFormatException">A file cannot be applied to the model.</exception>
    public static AdapterRegistry Open(AdapterOptions options, LlamaConfig config, string modelName)
    {
        List<ServedAdapter> opened = [];
        try
        {
            foreach (var (name, path) in options.Adapters)
            {
                if (name == modelName || opened.Any(other => other.Name == name)) throw new InvalidOptionsException($"--lora {name}: there is a model of this name already");
                opened.Add(Open(name, path, config));
            }
            if (opened.Find(adapter => adapter.Weights.MaxRank > options.MaxRank) is { } large)
                throw new InvalidOptionsException($"--lora {large.Name}: its rank is {large.Weights.MaxRank}; --max-lora-rank is {options.MaxRank}");
            return new AdapterRegistry([.. opened], options.Adapters.Count == 0 ? 0 : opened.Max(adapter => adapter.Weights.MaxRank));
        }
        catch
        {
            opened.ForEach(adapter => adapter.Dispose());
            throw;
        }
    }

    public ServedAdapter? Find(string name) => All.FirstOrDefault(adapter => adapter.Name == name);

    public ServedAdapter? FindDigest(string digest) => All.FirstOrDefault(adapter => adapter.Digest == digest);

    public void Dispose()
    {
        foreach (var adapter in adapters) adapter.Dispose();
    }

    static ServedAdapter Open(string name, string path, LlamaConfig config)
    {
        var weights = AdapterWeights.Open(path, config);
        try
        {
            var changed = weights.Tensors.FileOf(weights.Pairs[0].A) is { } file ? File.GetLastWriteTimeUtc(file) : DateTime.UnixEpoch;
            return new ServedAdapter(name, path, weights.ComputeDigest(), weights, new PartHashes(weights.Tensors, record: null), new DateTimeOffset(changed));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }
}

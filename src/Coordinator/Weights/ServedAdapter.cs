using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Text;
using AdapterReplacement = LlamaCluster.Protos.AdapterReplacement;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>A low-rank adapter that requests may name in the model's place.</summary>
/// <param name="Name">The name that clients ask for.</param>
/// <param name="Digest">Of all of its content.</param>
/// <param name="Weights">Its tensors, for the Weights service.</param>
/// <param name="Hashes">What parts of these hash to.</param>
/// <param name="Created">When its files were last changed.</param>
public sealed record ServedAdapter(string Name, string Path, string Digest, AdapterWeights Weights, PartHashes Hashes, DateTimeOffset Created) : IDisposable
{
    /// <summary>Tokenizer and chat template of its own vocabulary; null: it uses the model's.</summary>
    public ModelText? Text { get; init; }

    /// <exception cref="ModelFormatException">It is no adapter that can be applied to the model.</exception>
    /// <exception cref="InvalidOptionsException">It has too great a rank.</exception>
    public static ServedAdapter Open(string name, string path, LlamaConfig config, int maxRank, CancellationToken cancellation = default)
    {
        var weights = AdapterWeights.Open(path, config);
        try
        {
            if (weights.MaxRank > maxRank) throw new InvalidOptionsException($"--lora {name}: its rank is {weights.MaxRank}; --max-lora-rank is {maxRank}");
            var changed = weights.Tensors.FileOf(weights.Content.Tensors.First()) is { } file ? File.GetLastWriteTimeUtc(file) : DateTime.UnixEpoch;
            return new ServedAdapter(
                name, path, weights.ComputeDigest(cancellation), weights, new PartHashes(weights.Tensors, record: null), new DateTimeOffset(changed))
            {
                Text = weights.ReadText(),
            };
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

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
        Replacements =
        {
            Weights.Content.Replacements.Select(whole => new AdapterReplacement
            {
                Target = whole.Target.Name,
                Type = (uint)whole.Tensor.Type,
                Tensor = whole.Tensor.Name,
            }),
        },
        VocabularySize = (uint)Weights.Content.VocabularySize,
    };

    public void Dispose()
    {
        Hashes.Dispose();
        Weights.Dispose();
    }
}

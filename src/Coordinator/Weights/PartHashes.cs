using System.Collections.Concurrent;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>
/// What the parts of the served model hash to. A part is hashed when a worker first asks for its hash, or while it is first sent, and then never again
/// as long as the model's files stay as they are (see <see cref="HashRecord"/>). So nobody waits for a hash of all of the model. One part is hashed at a
/// time, by half of the processors: whoever else waits is mostly a worker that wants the same part. Safe for concurrent use.
/// </summary>
/// <param name="record">Null: hashes are known for as long as this process lives.</param>
public sealed class PartHashes(IModelWeights files, HashRecord? record) : IDisposable
{
    /// <summary>A caller may ask for any rows and columns. Of more parts than this the hashes are made anew each time.</summary>
    const int MostKnown = 1 << 17;

    readonly ConcurrentDictionary<string, string> _known = new(record?.Read() ?? [], StringComparer.Ordinal);
    readonly SemaphoreSlim _turn = new(1);
    readonly Lock _keeping = new();
    volatile bool _hasNews;

    /// <summary>The part's hash, if it is known.</summary>
    public string? Find(TensorPart part) => _known.GetValueOrDefault(KeyOf(part));

    /// <summary>The part's hash. Reads the part if it is not known.</summary>
    /// <param name="bytesRead">Told how much of the part is read.</param>
    /// <exception cref="ModelFormatException">The part cannot be read.</exception>
    public async Task<string> GetAsync(TensorPart part, IProgress<long> bytesRead, CancellationToken cancellation)
        => Find(part) ?? await MakeAsync(part, Math.Max(1, Environment.ProcessorCount / 2), bytesRead, cancellation);

    /// <summary>Makes the part's hash on one thread, if it is not known.</summary>
    /// <returns>False if there was nothing to do.</returns>
    /// <exception cref="ModelFormatException">The part cannot be read.</exception>
    public async Task<bool> TryMakeAsync(TensorPart part, CancellationToken cancellation)
    {
        if (Find(part) is not null || _known.Count >= MostKnown) return false;
        await MakeAsync(part, threads: 1, null, cancellation);
        return true;
    }

    async Task<string> MakeAsync(TensorPart part, int threads, IProgress<long>? bytesRead, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            if (Find(part) is { } made) return made;
            var hash = await Task.Run(() => PartHash.Compute(files, part, threads, bytesRead, cancellation), cancellation);
            Learn(part, hash);
            return hash;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Takes note of a hash that was made while the part was sent.</summary>
    public void Learn(TensorPart part, string hash)
    {
        if (_known.Count < MostKnown && _known.TryAdd(KeyOf(part), hash)) _hasNews = true;
    }

    /// <summary>Writes down what was learnt since the last time.</summary>
    public void Keep()
    {
        lock (_keeping)
        {
            if (!_hasNews) return;
            _hasNews = false;
            record?.Write(_known);
        }
    }

    public void Dispose() => _turn.Dispose();

    /// <summary>With the tensor's type, so that what a file holds and what it is rounded to have different hashes in one record.</summary>
    static string KeyOf(TensorPart part) =>
        FormattableString.Invariant($"{part.Tensor.Name} {part.Tensor.Type} {part.FirstRow}+{part.RowCount} {part.FirstColumn}+{part.ColumnCount}");
}

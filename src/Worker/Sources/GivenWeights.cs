using Grpc.Core;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// What this worker can give to others: parts in its cache, of models that it has been told of, and all of a model whose file it has open. What is given is
/// opened or held for as long as that takes, so that the worker may go on to another shard meanwhile. Safe for concurrent use.
/// </summary>
sealed partial class GivenWeights(WeightsCache cache, ILogger<GivenWeights> logger)
{
    readonly List<GivenModel> _models = [];
    readonly Lock _lock = new();

    /// <summary>Parts of a model can be had from the cache until the result is disposed of.</summary>
    public IDisposable AddCached(string digest, CachedWeights weights) => Add(new GivenModel(digest, weights, this) { Cached = weights });

    /// <summary>
    /// All parts of a model can be had until the result is disposed of. With that the model is closed, but not before the last that reads it has ended.
    /// </summary>
    public IDisposable AddWhole(string digest, IModelWeights weights) => Add(new GivenModel(digest, weights, this));

    /// <summary>Tells the coordinator what others can have from this worker. Where that fails, others do without.</summary>
    /// <param name="here">Null: all of the model.</param>
    public async Task OfferAsync(CoordinatorWeights coordinator, IReadOnlyList<TensorPart>? here, CancellationToken cancellation)
    {
        try
        {
            await coordinator.TellAsync(here, cancellation);
        }
        catch (RpcException e)
        {
            LogNotTold(e.Status.Detail);
        }
    }

    /// <summary>Finds a part.</summary>
    /// <param name="part">What a model of this digest has at that name and those numbers, and why it has nothing there.</param>
    /// <param name="hash">What it should hash to; "": not said.</param>
    /// <returns>Null: it is not here.</returns>
    public GivenPart? Find(string digest, Func<IModelWeights, TensorPart> part, string hash)
    {
        List<GivenModel> models;
        lock (_lock) models = [.. _models.Where(model => model.Digest == digest)];
        foreach (var model in models)
            if (Open(model, part(model.Weights), hash) is { } found) return found;
        return null;
    }

    GivenPart? Open(GivenModel model, TensorPart part, string hash)
    {
        if (model.Cached is not { } weights) return model.TryEnter() ? new GivenPart(part, model.Weights.ReadPart, model.Leave) : null;
        var entry = weights.CachedAround(part) is { } held ? cache.TryOpen(model.Digest, held.Part, held.Hash)
            : ModelIdentity.IsDigest(hash) ? cache.TryOpen(model.Digest, part, hash)
            : null;
        return entry is null ? null : new GivenPart(part, entry.ReadPart, entry.Dispose);
    }

    GivenModel Add(GivenModel model)
    {
        lock (_lock) _models.Add(model);
        return model;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Other workers cannot get weights from this one: {Problem}")]
    partial void LogNotTold(string problem);

    /// <summary>A model that is open. Counts who reads it, where it is to be closed when nobody does.</summary>
    sealed class GivenModel(string digest, IModelWeights weights, GivenWeights owner) : IDisposable
    {
        int _readers;
        bool _isOver;

        public string Digest => digest;

        public IModelWeights Weights => weights;

        /// <summary>Null: the model's own files are open.</summary>
        public CachedWeights? Cached { get; init; }

        public bool TryEnter()
        {
            lock (owner._lock)
            {
                if (_isOver) return false;
                _readers++;
                return true;
            }
        }

        public void Leave()
        {
            bool isLast;
            lock (owner._lock) isLast = --_readers == 0 && _isOver;
            if (isLast) weights.Dispose();
        }

        public void Dispose()
        {
            bool isUnread;
            lock (owner._lock)
            {
                if (_isOver) return;
                _isOver = true;
                owner._models.Remove(this);
                isUnread = Cached is null && _readers == 0;
            }
            if (isUnread) weights.Dispose();
        }
    }
}

/// <summary>Reads a part, or some rows of it.</summary>
delegate void PartReader(TensorPart part, Span<byte> destination);

/// <summary>A part that is being given.</summary>
/// <param name="Close">Called when it is.</param>
sealed record GivenPart(TensorPart Part, PartReader Reader, Action Close) : IDisposable
{
    /// <param name="firstRow">Counted from the part's first.</param>
    /// <param name="rows">Whole rows.</param>
    public void Read(long firstRow, Memory<byte> rows) => Reader(Part.Piece(firstRow, rows.Length / Part.RowBytes), rows.Span);

    public void Dispose() => Close();
}

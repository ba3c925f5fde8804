using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>
/// A worker's KV blocks on disk, if the operator wants it to keep any: the folder, the store of the shard that it holds, and the threads that wait for
/// storage.
/// </summary>
sealed class BlockDisk(WorkerOptions options, TimeProvider time, ILogger<BlockDisk> logger) : IDisposable
{
    /// <summary>Far more than a view has under way; an earlier view may have left some.</summary>
    const int MostJobs = 4096;

    readonly Lock _guard = new();
    KvFolder? _folder;
    (ShardIdentity Shard, KvStore Store)? _open;

    public bool IsOn => options.KvDiskFolder is not null;

    /// <summary>The clock by which storage is late.</summary>
    public TimeProvider Time => time;

    /// <summary>Carries out writes. Set once it is open.</summary>
    public IoThread Writer { get; private set; } = null!;

    /// <summary>Carries out reads, which do not wait for writes.</summary>
    public IoThread Reader { get; private set; } = null!;

    /// <summary>Takes the folder. To be called once, if it is on.</summary>
    /// <exception cref="IOException">It cannot be used. The message is one line.</exception>
    public void Open()
    {
        _folder = KvFolder.Open(options.KvDiskFolder!, options.KvDiskBytes!.Value, time);
        (Writer, Reader) = (new IoThread("writes of KV blocks", MostJobs, time, logger), new IoThread("reads of KV blocks", MostJobs, time, logger));
    }

    /// <summary>The store of the shard that the worker holds from now on.</summary>
    /// <exception cref="IOException">Its files cannot be used.</exception>
    /// <param name="hasExperts">The model has experts.</param>
    public KvStore StoreOf(LoadOrder order, bool hasExperts, int blockBytes)
    {
        var shard = ShardIdentity.Of(order, hasExperts);
        lock (_guard)
        {
            if (_open is { } open)
            {
                if (open.Shard == shard) return open.Store;
                open.Store.Dispose();
                _open = null;
            }
            var store = new KvStore(_folder!, shard, blockBytes, logger);
            _open = (shard, store);
            return store;
        }
    }

    /// <summary>Writes what is still to be written.</summary>
    public void Dispose()
    {
        if (_folder is null) return;
        Writer.Dispose();
        Reader.Dispose();
        lock (_guard) _open?.Store.Dispose();
        _folder.Dispose();
    }
}

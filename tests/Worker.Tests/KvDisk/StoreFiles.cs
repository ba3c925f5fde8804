using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Tests.KvDisk;

/// <summary>A folder for stores of small blocks.</summary>
sealed class StoreFiles : IDisposable
{
    public const int BlockBytes = 300;

    readonly TempFolder _folder = new();
    readonly LogLines _log = new();

    public string Path => _folder.Path;

    public LogLines Log => _log;

    /// <summary>Bytes that so many slots take, with the head of their one segment.</summary>
    public static long BytesOf(int slots) => new SegmentLayout(BlockBytes).OffsetOf(slots);

    public static PrefixCacheKey Key(int number) => new((UInt128)number << 64, (UInt128)(number * 7919));

    public static byte[] Block(int number)
    {
        var bytes = new byte[BlockBytes];
        new Random(number).NextBytes(bytes);
        return bytes;
    }

    public KvFolder OpenFolder(long bytes) => KvFolder.Open(Path, bytes, TimeProvider.System);

    public KvStore Open(KvFolder folder, string shard = "a") => new(folder, new ShardIdentity(shard), BlockBytes, _log.CreateLogger("test"));

    /// <summary>Opens a store, and closes it and the folder afterwards.</summary>
    public void With(int slots, Action<KvStore> use)
    {
        using var folder = OpenFolder(BytesOf(slots));
        using var store = Open(folder);
        use(store);
    }

    /// <summary>The only segment of a store.</summary>
    public string Segment(string shard = "a") => System.IO.Path.Combine(Path, new ShardIdentity(shard).FolderName, "000000.kv");

    public long SegmentBytes => Directory.EnumerateFiles(Path, "*.kv", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length);

    /// <summary>Null if the store does not have it. It is an error if it has something else.</summary>
    public static bool Has(KvStore store, int number)
    {
        var read = new byte[BlockBytes];
        if (!store.TryGet(Key(number), read)) return false;
        Assert.Equal(Block(number), read);
        return true;
    }

    /// <summary>Blocks that it has. Nobody else is told of changes afterwards.</summary>
    public static int Count(KvStore store) => store.Follow(_ => { }).Length;

    public static bool Put(KvStore store, int number) => store.Put(Key(number), Block(number));

    public void Dispose() => _folder.Dispose();
}

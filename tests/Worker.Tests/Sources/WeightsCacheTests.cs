using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Worker.Tests.Sources;

public sealed class WeightsCacheTests : IDisposable
{
    static readonly string Digest = new('d', 64);
    static readonly TensorInfo Tensor = new("blk.0.attn_q.weight", TensorType.F32, 10, 4);

    readonly TempFolder _folder = new();
    readonly WeightsCache _cache;

    public WeightsCacheTests() => _cache = new WeightsCache(_folder.Path, TimeProvider.System, NullLogger<WeightsCache>.Instance);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task TryOpen_WhatWasCommitted_GivesItsRows()
    {
        var part = TensorPart.Rows(Tensor, 2, 5);
        Assert.Null(_cache.TryOpen(Digest, part, default));
        (await WriteAsync(part)).Dispose();

        using var cached = _cache.TryOpen(Digest, part, default);

        var rows = new byte[2 * 16];
        cached!.ReadPart(TensorPart.Rows(Tensor, 4, 2), rows);
        Assert.Equal(Content(part)[32..64], rows);
        Assert.Throws<ArgumentOutOfRangeException>(() => cached.ReadPart(TensorPart.Rows(Tensor, 1, 1), new byte[16]));
        Assert.Throws<ArgumentOutOfRangeException>(() => cached.ReadPart(TensorPart.Rows(Tensor, 6, 2), new byte[32]));
    }

    [Fact]
    public async Task TryOpen_SomeColumns_AreAFileOfTheirOwn()
    {
        var part = TensorPart.Rows(Tensor, 2, 5) with { FirstColumn = 1, ColumnCount = 3 };
        (await WriteAsync(part)).Dispose();
        Assert.Null(_cache.TryOpen(Digest, TensorPart.Rows(Tensor, 2, 5), default));

        using var cached = _cache.TryOpen(Digest, part, default);

        Assert.Equal("blk.0.attn_q.weight.2-5.1-3", Path.GetFileName(cached!.Path));
        var columns = new byte[2 * 8];
        cached.ReadPart(new TensorPart(Tensor, 4, 2, 2, 2), columns);
        Assert.Equal([.. Content(part)[28..36], .. Content(part)[40..48]], columns);
        Assert.Throws<ArgumentOutOfRangeException>(() => cached.ReadPart(new TensorPart(Tensor, 4, 2, 0, 2), new byte[16]));
        Assert.Throws<ArgumentOutOfRangeException>(() => cached.ReadPart(TensorPart.Rows(Tensor, 4, 2), new byte[32]));
    }

    [Fact]
    public async Task TryOpen_WhatWasNotCommitted_IsNotThereAndLeavesNoFile()
    {
        var part = TensorPart.Whole(Tensor);
        using (var writer = _cache.Create(Digest, part)) await writer.AppendAsync(new byte[8], default);
        Assert.Null(_cache.TryOpen(Digest, part, default));
        Assert.Empty(Directory.GetFiles(_cache.FolderOf(Digest)));
    }

    [Fact]
    public async Task Commit_TooEarly_IsAMistake()
    {
        using var writer = _cache.Create(Digest, TensorPart.Whole(Tensor));
        await writer.AppendAsync(new byte[8], default);
        Assert.Throws<InvalidOperationException>(() => writer.Commit());
    }

    [Fact]
    public async Task Commit_WhereOneIsAlready_LeavesReadersOfTheOldOneAlone()
    {
        var part = TensorPart.Whole(Tensor);
        using var old = await WriteAsync(part);
        using var newer = await WriteAsync(part);
        var row = new byte[16];
        old.ReadPart(TensorPart.Rows(Tensor, 9, 1), row);
        Assert.Equal(Content(part)[144..], row);
        Assert.Single(Directory.GetFiles(_cache.FolderOf(Digest)));
    }

    [Fact]
    public async Task TryOpen_ADamagedFile_DeletesIt()
    {
        var part = TensorPart.Whole(Tensor);
        string path;
        using (var cached = await WriteAsync(part)) path = cached.Path;
        var content = File.ReadAllBytes(path);
        content[^1] ^= 1;
        File.WriteAllBytes(path, content);
        Assert.Null(_cache.TryOpen(Digest, part, default));
        Assert.False(File.Exists(path));
    }

    [Fact]
    public void RemoveAbandoned_OldAndNewTemporaryFiles_RemovesTheOldOnes()
    {
        var folder = Directory.CreateDirectory(_cache.FolderOf(Digest)).FullName;
        var (old, fresh, whole) = (Path.Combine(folder, $"a{WeightsCache.TemporarySuffix}"), Path.Combine(folder, $"b{WeightsCache.TemporarySuffix}"), Path.Combine(folder, "c"));
        foreach (var path in new[] { old, fresh, whole }) File.WriteAllText(path, "");
        foreach (var path in new[] { old, whole }) File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-2));
        _cache.RemoveAbandoned(Digest);
        Assert.Equal([fresh, whole], Directory.GetFiles(folder).Order());
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("")]
    [InlineData("DDDD")]
    public void FolderOf_NoDigest_IsRefused(string digest) => Assert.Throws<ArgumentException>(() => _cache.FolderOf(digest));

    static byte[] Content(TensorPart part) => [.. Enumerable.Range(0, (int)part.Bytes).Select(i => (byte)i)];

    async Task<CachedTensor> WriteAsync(TensorPart part)
    {
        using var writer = _cache.Create(Digest, part);
        await writer.AppendAsync(Content(part).AsMemory(0, 10), default);
        await writer.AppendAsync(Content(part).AsMemory(10), default);
        return writer.Commit();
    }
}

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

    public WeightsCacheTests() => _cache = CacheOf(null);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task TryOpen_WhatWasCommitted_GivesItsRows()
    {
        var part = TensorPart.Rows(Tensor, 2, 5);
        Assert.Null(_cache.TryOpen(Digest, part, HashOf(part)));
        (await WriteAsync(part)).Dispose();
        Assert.Null(_cache.TryOpen(Digest, part, new string('0', 64)));
        Assert.Equal([HashOf(part)], _cache.EntriesOf(Digest)[WeightsCache.NameOf(part)]);

        using var cached = _cache.TryOpen(Digest, part, HashOf(part));

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
        Assert.Empty(_cache.EntriesOf(Digest)[WeightsCache.NameOf(TensorPart.Rows(Tensor, 2, 5))]);

        using var cached = _cache.TryOpen(Digest, part, HashOf(part));

        Assert.Equal($"blk.0.attn_q.weight.2-5.1-3.{HashOf(part)}", Path.GetFileName(cached!.Path));
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
        Assert.Empty(_cache.EntriesOf(Digest));
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

    [Theory]
    [InlineData("cut off")]
    [InlineData("too long")]
    [InlineData("empty")]
    [InlineData("trailer")]
    [InlineData("older release")]
    [InlineData("other rows")]
    [InlineData("other tensor")]
    [InlineData("folder")]
    [InlineData("link")]
    [InlineData("link to itself")]
    public async Task TryOpen_WhatIsNoSuchEntry_RemovesItAndTakesTheNextOne(string what)
    {
        var part = TensorPart.Rows(Tensor, 2, 5);
        string path;
        using (var cached = await WriteAsync(part)) path = cached.Path;
        var content = File.ReadAllBytes(path);
        File.Delete(path);
        switch (what)
        {
            case "cut off": File.WriteAllBytes(path, content[..^1]); break;
            case "too long": File.WriteAllBytes(path, [.. content, 0]); break;
            case "empty": File.WriteAllBytes(path, []); break;
            case "trailer": File.WriteAllBytes(path, [.. content[..^512], .. new byte[512]]); break;
            case "older release": File.WriteAllBytes(path, [.. content[..^512], 1, 2, 3, 4, 5, 6, 7, 8]); break;
            case "other rows": File.Move(await WrittenAsync(TensorPart.Rows(Tensor, 3, 5)), path); break;
            case "other tensor": File.Move(await WrittenAsync(TensorPart.Rows(Tensor with { Name = "blk.1.attn_q.weight" }, 2, 5)), path); break;
            case "folder": Directory.CreateDirectory(Path.Combine(path, "sub")); break;
            case "link": File.CreateSymbolicLink(path, await WrittenAsync(TensorPart.Rows(Tensor, 3, 5))); break;
            case "link to itself": File.CreateSymbolicLink(path, path); break;
        }
        Assert.Null(_cache.TryOpen(Digest, part, HashOf(part)));
        Assert.DoesNotContain(path, Directory.GetFileSystemEntries(_cache.FolderOf(Digest)));

        (await WriteAsync(part)).Dispose();
        using var again = _cache.TryOpen(Digest, part, HashOf(part));
        Assert.Null(again!.DataProblem(default));
    }

    [Theory]
    [InlineData("folder")]
    [InlineData("link to itself")]
    public async Task Commit_WhereSomethingElseStands_ReplacesIt(string what)
    {
        var part = TensorPart.Whole(Tensor);
        var path = await WrittenAsync(part);
        File.Delete(path);
        if (what == "folder") Directory.CreateDirectory(path);
        else File.CreateSymbolicLink(path, path);
        using var cached = await WriteAsync(part);
        Assert.Null(cached.DataProblem(default));
    }

    [Theory]
    [InlineData("file")]
    [InlineData("link to itself")]
    public async Task Create_WhereTheModelsFolderIsNone_MakesItOne(string what)
    {
        if (what == "file") File.WriteAllText(_cache.FolderOf(Digest), "");
        else File.CreateSymbolicLink(_cache.FolderOf(Digest), _cache.FolderOf(Digest));
        (await WriteAsync(TensorPart.Whole(Tensor))).Dispose();
    }

    [Fact]
    public async Task DataProblem_OneBitOfTheData_IsFound()
    {
        var part = TensorPart.Whole(Tensor);
        var path = await WrittenAsync(part);
        var content = File.ReadAllBytes(path);
        content[77] ^= 1;
        File.WriteAllBytes(path, content);
        using var cached = _cache.TryOpen(Digest, part, HashOf(part));
        Assert.NotNull(cached!.DataProblem(default));
    }

    [Fact]
    public async Task MakeRoom_OverTheLimit_RemovesWhatWasNotUsedForLongestOfWhateverModel()
    {
        var entry = TensorPart.Rows(Tensor, 0, 2).Bytes + CachedTensor.TrailerBytes;
        var cache = CacheOf(4 * entry);
        var ofOther = await WrittenAsync(Rows(1), new string('e', 64));
        string[] paths = [await WrittenAsync(Rows(0)), ofOther, await WrittenAsync(Rows(2)), await WrittenAsync(Rows(3))];
        foreach (var (index, path) in paths.Index()) File.SetLastAccessTimeUtc(path, DateTime.UtcNow.AddHours(index - 10));
        cache.TryOpen(Digest, Rows(0), HashOf(Rows(0)))!.Dispose();

        Assert.Null(cache.MakeRoom(Digest, 0));
        Assert.All(paths, path => Assert.True(File.Exists(path)));
        Assert.Null(cache.MakeRoom(Digest, 2 * entry));
        Assert.Equal([true, false, false, true], paths.Select(File.Exists));
    }

    [Fact]
    public async Task MakeRoom_WithWhatIsInUse_LeavesItAndSaysWhyThereIsNoRoom()
    {
        var entry = TensorPart.Rows(Tensor, 0, 2).Bytes + CachedTensor.TrailerBytes;
        var cache = CacheOf(2 * entry);
        using var used = await WriteAsync(Rows(0));
        var unused = await WrittenAsync(Rows(1));
        var problem = cache.MakeRoom(Digest, 2 * entry);
        Assert.Equal($"{2 * entry} bytes of weights do not fit in --weights-cache-size {2 * entry}, of which {entry} are in use at {_folder.Path}", problem);
        Assert.True(File.Exists(used.Path));
        Assert.False(File.Exists(unused));
        Assert.Null(cache.MakeRoom(Digest, entry));
    }

    [Fact]
    public async Task MakeRoom_OverTheLimit_TouchesNothingThatIsNoEntry()
    {
        var (other, folder) = (_folder.File("holiday.jpg"), Directory.CreateDirectory(_folder.File("album")).FullName);
        File.WriteAllText(other, "mine");
        File.WriteAllText(Path.Combine(folder, $"a.{new string('a', 64)}"), "mine");
        var inModel = Path.Combine(Directory.CreateDirectory(_cache.FolderOf(Digest)).FullName, "notes.txt");
        File.WriteAllText(inModel, "mine");
        var entry = await WrittenAsync(Rows(0));
        Assert.Null(CacheOf(1).MakeRoom(Digest, 0));
        Assert.False(File.Exists(entry));
        Assert.Equal(3, Directory.GetFiles(_folder.Path, "*", SearchOption.AllDirectories).Length);
    }

    [Fact]
    public async Task MakeRoom_WithoutALimit_LeavesATenthOfTheDiskFreeWhereItCan()
    {
        var entry = await WrittenAsync(Rows(0));
        Assert.Null(new CacheEviction(_folder.Path, null, new DiskSpace(Free: 150, Total: 1000)).MakeRoom(50));
        Assert.True(File.Exists(entry));
        using (_cache.TryOpen(Digest, Rows(0), HashOf(Rows(0))))
        {
            Assert.Null(new CacheEviction(_folder.Path, null, new DiskSpace(Free: 150, Total: 1000)).MakeRoom(51));
            Assert.Equal(
                $"151 bytes of weights do not fit in the 150 free bytes at {_folder.Path}; --cache names another folder",
                new CacheEviction(_folder.Path, null, new DiskSpace(Free: 150, Total: 1000)).MakeRoom(151));
        }
        Assert.Null(new CacheEviction(_folder.Path, null, new DiskSpace(Free: 150, Total: 1000)).MakeRoom(51));
        Assert.False(File.Exists(entry));
        Assert.Equal(32L << 30, new DiskSpace(0, 1L << 50).Spared);
    }

    [Fact]
    public void RemoveAbandoned_TemporaryFilesAndThoseOfOlderReleases_RemovesTheOldOnes()
    {
        var folder = Directory.CreateDirectory(_cache.FolderOf(Digest)).FullName;
        var (old, fresh) = (Path.Combine(folder, $"a{WeightsCache.TemporarySuffix}"), Path.Combine(folder, $"b{WeightsCache.TemporarySuffix}"));
        var (whole, unnamed) = (Path.Combine(folder, $"c.0-1.{new string('a', 64)}"), Path.Combine(folder, "c.0-1"));
        foreach (var path in new[] { old, fresh, whole, unnamed }) File.WriteAllText(path, "");
        foreach (var path in new[] { old, whole, unnamed }) File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-2));
        _cache.RemoveAbandoned(Digest);
        Assert.Equal([fresh, whole], Directory.GetFiles(folder).Order());
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("")]
    [InlineData("DDDD")]
    public void FolderOf_NoDigest_IsRefused(string digest) => Assert.Throws<ArgumentException>(() => _cache.FolderOf(digest));

    static TensorPart Rows(int index) => TensorPart.Rows(Tensor, 2 * index, 2);

    static byte[] Content(TensorPart part) => [.. Enumerable.Range(0, (int)part.Bytes).Select(i => (byte)(i + part.FirstRow))];

    static string HashOf(TensorPart part)
    {
        using var hasher = new PartHasher(part);
        hasher.Append(Content(part));
        return hasher.Finish();
    }

    WeightsCache CacheOf(long? limit) => new(_folder.Path, TimeProvider.System, NullLogger<WeightsCache>.Instance, new CacheLimit(limit));

    async Task<string> WrittenAsync(TensorPart part, string? digest = null)
    {
        using var cached = await WriteAsync(part, digest);
        return cached.Path;
    }

    async Task<CachedTensor> WriteAsync(TensorPart part, string? digest = null)
    {
        using var writer = _cache.Create(digest ?? Digest, part);
        await writer.AppendAsync(Content(part).AsMemory(0, 10), default);
        await writer.AppendAsync(Content(part).AsMemory(10), default);
        return writer.Commit();
    }
}

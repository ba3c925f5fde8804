using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Coordinator.Tests.Weights;

public sealed class PartHashesTests : IDisposable
{
    static readonly Progress<long> Nobody = new();

    readonly TempFolder _folder = new();
    readonly string _path;
    IModelWeights _files;

    public PartHashesTests()
    {
        _path = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"));
        _files = ModelFiles.Open(_path);
    }

    [Fact]
    public async Task What_nobody_has_asked_about_is_hashed_when_the_cluster_serves()
    {
        using var hashes = new PartHashes(_files, Open());
        var weights = new ServedWeights(_files, "small", _files.ComputeDigest(), hashes);
        var (readiness, time) = (new Readiness(), new FakeTimeProvider());
        using var ahead = new HashesAhead(weights, readiness, time, NullLogger<HashesAhead>.Instance);
        await ahead.StartAsync(default);
        time.Advance(TimeSpan.FromMinutes(1));
        var parts = _files.Tensors.Select(TensorPart.Whole).ToList();
        Assert.DoesNotContain(parts, part => hashes.Find(part) is not null);
        readiness.Set(true);
        var deadline = TimeSpan.FromSeconds(30);
        Assert.True(SpinWait.SpinUntil(() =>
        {
            time.Advance(TimeSpan.FromSeconds(5));
            return ahead.ExecuteTask!.IsCompleted;
        }, deadline));
        Assert.All(parts, part => Assert.Equal(PartHash.Compute(_files, part, 1, null, default), hashes.Find(part)));
        using var next = new PartHashes(_files, Open());
        Assert.NotNull(next.Find(parts[0]));
    }

    string Record => $"{_path}.hashes.json";

    TensorPart Part => TensorPart.Rows(_files.Find("blk.1.ffn_up.weight")!, 3, 40);

    public void Dispose()
    {
        _files.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_hash_is_made_once_and_the_next_process_finds_it_beside_the_model()
    {
        using var hashes = new PartHashes(_files, Open());
        Assert.Null(hashes.Find(Part));
        var made = await hashes.GetAsync(Part, Nobody, CancellationToken.None).Soon();
        Assert.Equal(PartHash.Compute(_files, Part, 1, null, CancellationToken.None), made);
        Assert.Equal(made, hashes.Find(Part));
        hashes.Keep();

        using var next = new PartHashes(_files, Open());
        Assert.Equal(made, next.Find(Part));
        Assert.Null(next.Find(Part.Piece(0, 39)));
    }

    [Fact]
    public void What_was_learnt_while_sending_is_kept_too()
    {
        using var hashes = new PartHashes(_files, Open());
        hashes.Learn(Part, new string('a', 64));
        hashes.Keep();
        using var next = new PartHashes(_files, Open());
        Assert.Equal(new string('a', 64), next.Find(Part));
    }

    [Theory]
    [InlineData("time")]
    [InlineData("length")]
    [InlineData("inode")]
    public void Another_file_in_the_place_of_the_model_is_hashed_anew(string what)
    {
        using (var hashes = new PartHashes(_files, Open()))
        {
            hashes.Learn(Part, new string('a', 64));
            hashes.Keep();
        }
        _files.Dispose();
        var time = File.GetLastWriteTimeUtc(_path);
        if (what == "inode")
        {
            File.Copy(_path, _folder.File("copy"));
            File.Move(_folder.File("copy"), _path, overwrite: true);
        }
        if (what == "length") File.AppendAllText(_path, "more");
        File.SetLastWriteTimeUtc(_path, what == "time" ? time.AddMilliseconds(1) : time);
        _files = ModelFiles.Open(_path);

        using var next = new PartHashes(_files, Open());
        Assert.Null(next.Find(Part));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"Files\":null,\"Hashes\":null}")]
    public void A_damaged_record_counts_as_none_and_is_replaced(string content)
    {
        File.WriteAllText(Record, content);
        using (var hashes = new PartHashes(_files, Open()))
        {
            Assert.Null(hashes.Find(Part));
            hashes.Learn(Part, new string('a', 64));
            hashes.Keep();
        }
        using var next = new PartHashes(_files, Open());
        Assert.NotNull(next.Find(Part));
    }

    [Fact]
    public void Hashes_that_are_none_are_left_out()
    {
        using (var hashes = new PartHashes(_files, Open()))
        {
            hashes.Learn(Part, new string('a', 64));
            hashes.Keep();
        }
        File.WriteAllText(Record, File.ReadAllText(Record).Replace(new string('a', 64), "no hash", StringComparison.Ordinal));
        using var next = new PartHashes(_files, Open());
        Assert.Null(next.Find(Part));
    }

    /// <summary>A folder in the record's place stands for a folder that nobody may write to: root may write to any.</summary>
    [Fact]
    public void Where_nothing_can_be_written_beside_the_model_the_record_goes_elsewhere()
    {
        Directory.CreateDirectory(Record);
        using (var hashes = new PartHashes(_files, Open()))
        {
            hashes.Learn(Part, new string('a', 64));
            hashes.Keep();
        }
        Assert.Single(Directory.GetFiles(_folder.File("fallback")));
        using var next = new PartHashes(_files, Open());
        Assert.NotNull(next.Find(Part));
        Assert.Empty(Directory.GetFiles(_folder.Path, "*.part"));
    }

    [Fact]
    public void A_model_without_files_has_no_record()
    {
        using var weights = SyntheticModel.Small.Weights();
        Assert.Null(HashRecord.Of(weights, null, NullLogger.Instance));
    }

    [Fact]
    public async Task What_a_file_holds_and_what_it_is_rounded_to_are_two_hashes()
    {
        using var rounded = new QuantizedModelPath(_path, TensorType.Q8_0).Open();
        using var hashes = new PartHashes(_files, Open());
        using var ofRounded = new PartHashes(rounded, HashRecord.Of(rounded, null, NullLogger.Instance));
        var part = TensorPart.Rows(rounded.Find("blk.1.ffn_up.weight")!, 3, 40);
        var plain = await hashes.GetAsync(Part, Nobody, CancellationToken.None).Soon();
        Assert.NotEqual(plain, await ofRounded.GetAsync(part, Nobody, CancellationToken.None).Soon());
        hashes.Keep();
        using var next = new PartHashes(rounded, HashRecord.Of(rounded, null, NullLogger.Instance));
        Assert.Null(next.Find(part));
        Assert.NotNull(next.Find(Part));
    }

    [Fact]
    public async Task Who_waits_for_a_hash_may_give_up()
    {
        using var hashes = new PartHashes(_files, Open());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hashes.GetAsync(Part, Nobody, new CancellationToken(canceled: true)).Soon());
        Assert.NotNull(await hashes.GetAsync(Part, Nobody, CancellationToken.None).Soon());
    }

    HashRecord Open() => HashRecord.Of(_files, _folder.File("fallback"), NullLogger.Instance)!;
}

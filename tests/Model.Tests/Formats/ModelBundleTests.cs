using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class ModelBundleTests : IDisposable
{
    static readonly string Demo = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf");

    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_model_in_a_program_reads_as_the_file_does()
    {
        var bundle = Write(Program(5001), Demo);

        using var inside = ModelFiles.Open(bundle);
        using var alone = ModelFiles.Open(Demo);
        Assert.Equal(alone.Config, inside.Config);
        Assert.Equal(alone.Tensors, inside.Tensors);
        Assert.Equal(bundle, inside.FileOf(inside.Tensors[0]));
        foreach (var tensor in alone.Tensors.Where(tensor => tensor.Name.Contains("blk.7")))
        {
            var (a, b) = (new byte[tensor.RowBytes * tensor.Rows], new byte[tensor.RowBytes * tensor.Rows]);
            inside.ReadRows(tensor, 0, a);
            alone.ReadRows(tensor, 0, b);
            Assert.Equal(b, a);
        }
    }

    [Fact]
    public void The_program_stays_as_it_is_and_may_be_executed()
    {
        var program = Program(5001);

        var bundle = Write(program, Demo);

        Assert.Equal(File.ReadAllBytes(program), File.ReadAllBytes(bundle)[..5001]);
        if (!OperatingSystem.IsWindows()) Assert.Equal(File.GetUnixFileMode(program), File.GetUnixFileMode(bundle));
        Assert.Equal(["bundle", "program"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_program_that_has_a_model_gets_another_in_its_place()
    {
        var first = Write(Program(4096), SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"));
        var second = _folder.File("second");

        ModelBundle.Write(first, Demo, second, written: null, CancellationToken.None);

        Assert.Equal(4096 + new FileInfo(Demo).Length + 40, new FileInfo(second).Length);
        Assert.True(ModelBundle.Is(second));
    }

    [Theory]
    [InlineData(-16)]   // the length of the model
    [InlineData(-24)]   // where it begins
    [InlineData(-40)]   // the mark
    [InlineData(-8)]    // the length of the program
    public void A_trailer_that_is_not_right_is_none(int changed)
    {
        var bytes = File.ReadAllBytes(Write(Program(5001), Demo));
        bytes[bytes.Length + changed + 6] ^= 0x40;
        File.WriteAllBytes(_folder.File("changed"), bytes);

        Assert.False(ModelBundle.Is(_folder.File("changed")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(39)]
    [InlineData(4096)]
    public void A_program_without_a_model_has_none(int bytes) => Assert.False(ModelBundle.Is(Program(bytes)));

    [Fact]
    public void What_is_cancelled_leaves_no_file()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        var program = Program(5001);

        Assert.Throws<OperationCanceledException>(() => ModelBundle.Write(program, Demo, _folder.File("bundle"), written: null, cancelled.Token));

        Assert.Equal([program], Directory.GetFiles(_folder.Path));
    }

    string Program(int bytes)
    {
        var path = _folder.File("program");
        File.WriteAllBytes(path, [.. Enumerable.Range(0, bytes).Select(i => (byte)i)]);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    string Write(string program, string model)
    {
        var bundle = _folder.File("bundle");
        ModelBundle.Write(program, model, bundle, written: null, CancellationToken.None);
        return bundle;
    }
}

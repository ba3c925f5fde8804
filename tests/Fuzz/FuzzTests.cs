using System.Globalization;
using LlamaCluster.Fuzz.Tests.Campaigns;
using Xunit.Abstractions;

namespace LlamaCluster.Fuzz.Tests;

/// <summary>
/// Everything that reads what strangers made, tried with damaged input: it is read or refused in one line, soon, and within bounded memory. A few seconds each
/// here; by hand as long as <see cref="SecondsVariable"/> says.
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output, FuzzTests.Shared shared) : IClassFixture<FuzzTests.Shared>
{
    /// <summary>How long each target is tried, in seconds; without it <see cref="UsualSeconds"/>.</summary>
    const string SecondsVariable = "LLAMACLUSTER_FUZZ_SECONDS";

    /// <summary>Another one tries other input.</summary>
    const string SeedVariable = "LLAMACLUSTER_FUZZ_SEED";

    /// <summary>Where figures and inputs that make a fault are kept; without it nowhere.</summary>
    public const string FolderVariable = "LLAMACLUSTER_FUZZ_FOLDER";

    const double UsualSeconds = 4;

    [Theory]
    [InlineData("gguf")]
    [InlineData("safetensors")]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer.model")]
    [InlineData("jinja")]
    [InlineData("go templates")]
    [InlineData("json bodies")]
    [InlineData("json schema")]
    [InlineData("regex")]
    [InlineData("gbnf")]
    [InlineData("grpc messages")]
    public void Damaged_input_is_read_or_refused_soon_and_within_bounds(string target)
    {
        var (seconds, seed) = (Number(SecondsVariable, UsualSeconds), (int)Number(SeedVariable, 1));
        var folder = Environment.GetEnvironmentVariable(FolderVariable);
        if (folder is not null) Directory.CreateDirectory(folder);
        var coverage = new CoverageMap();   // before the target: instrumented code writes to whatever map there is
        using var open = shared.Code.Open(target);

        var figures = new FuzzCampaign(target, open, coverage, seed, folder).Run(TimeSpan.FromSeconds(seconds));

        output.WriteLine($"{figures}");
        if (folder is not null) File.AppendAllText(Path.Combine(folder, "figures.txt"), $"{figures}\n");
        Assert.True(figures.Fault is null, $"seed {seed}: {figures.Fault}");
        // Fewer, and something of the test itself is wrong.
        Assert.InRange(figures.Runs, 20, long.MaxValue);
        Assert.InRange(figures.Edges, 100, int.MaxValue);
    }

    static double Number(string variable, double otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } written ? double.Parse(written, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>Instrumenting takes a moment, so it is done once.</summary>
    public sealed class Shared : IDisposable
    {
        readonly Lazy<InstrumentedCode> _code = new(() => new InstrumentedCode());

        internal InstrumentedCode Code => _code.Value;

        public void Dispose()
        {
            if (_code.IsValueCreated) _code.Value.Dispose();
        }
    }
}

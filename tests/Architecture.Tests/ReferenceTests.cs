namespace LlamaCluster.Architecture.Tests;

/// <summary>Who may refer to whom (docs/architecture.md, "Projects").</summary>
public sealed class ReferenceTests
{
    static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Protos"] = ["Grpc.Core.Api", "Grpc.Net.Common"],
        ["Kernels"] = [],
        ["Model"] = ["Kernels"],
        ["Cluster"] = ["Protos"],
        ["Worker"] = ["Cluster", "Model"],
        ["Coordinator"] = ["Cluster", "Model"],
        ["Cli"] = ["Coordinator", "Worker"],
    };

    public static TheoryData<string> Projects => [.. Allowed.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_refers_only_to_what_the_design_allows(string project)
    {
        var file = Assert.Single(SourceTree.ProjectFiles("src"), file => Path.GetFileNameWithoutExtension(file) == project);
        Assert.Empty(SourceTree.ReferencesOf(file).Except(Allowed[project]));
    }

    [Fact]
    public void Every_project_of_src_has_a_rule()
        => Assert.Equal(Allowed.Keys.Order(), SourceTree.ProjectFiles("src").Select(Path.GetFileNameWithoutExtension).Order());

    [Fact]
    public void Every_project_of_src_has_a_test_project()
    {
        var tests = SourceTree.ProjectFiles("tests").Select(Path.GetFileNameWithoutExtension).ToHashSet();
        var covered = Allowed.Keys.Where(project => tests.Contains($"{project}.Tests")).Append("Protos"); // wire contract, no logic
        Assert.Empty(Allowed.Keys.Except(covered));
    }

    [Fact]
    public void The_coordinator_takes_only_headers_config_and_text_of_a_model()
    {
        var offenders = SourceTree.SourceFiles("src/Coordinator")
            .Where(file => File.ReadLines(file).Any(line => line.Contains("StageRunner") || line.Contains("ShardWeights") || line.Contains("using LlamaCluster.Kernels")))
            .Select(SourceTree.Relative);
        Assert.Empty(offenders);
    }
}

namespace LlamaCluster.Architecture.Tests;

/// <summary>Who may refer to whom (docs/architecture.md, "Projects"), as the compiled assemblies do.</summary>
public sealed class ReferenceTests
{
    static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Primitives"] = [],
        ["Protos"] = [],
        ["Kernels"] = ["Primitives"],
        ["Text"] = ["Primitives"],
        ["Planning"] = ["Primitives"],
        ["Model"] = ["Kernels", "Text", "Primitives"],
        ["Cluster"] = ["Protos", "Planning", "Primitives"],
        ["Sessions"] = ["Primitives"],
        ["Worker"] = ["Cluster", "Model", "Kernels", "Text", "Planning", "Protos", "Primitives"],
        ["Coordinator"] = ["Cluster", "Sessions", "Model", "Text", "Planning", "Protos", "Primitives"],
        ["Cli"] = ["Coordinator", "Worker", "Cluster", "Sessions", "Model", "Kernels", "Text", "Planning", "Protos", "Primitives"],
    };

    /// <summary>What the coordinator may take of a model: it never computes one.</summary>
    static readonly string[] OfAModel = ["LlamaCluster.Model.Config", "LlamaCluster.Model.Formats"];

    public static TheoryData<string> Projects => [.. Allowed.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_refers_only_to_what_the_design_allows(string project)
        => Assert.Empty(CompiledTypes.ReferencesOf(project).Except(Allowed[project]));

    [Fact]
    public void Every_project_of_src_has_a_rule()
        => Assert.Equal(Allowed.Keys.Order(), SourceTree.ProjectFiles("src").Select(file => Path.GetFileNameWithoutExtension(file)!).Order());

    [Fact]
    public void Every_project_of_src_has_a_test_project()
    {
        var tests = SourceTree.ProjectFiles("tests").Select(Path.GetFileNameWithoutExtension).ToHashSet();
        var covered = Allowed.Keys.Where(project => tests.Contains($"{project}.Tests")).Append("Protos"); // wire contract, no logic
        Assert.Empty(Allowed.Keys.Except(covered));
    }

    [Fact]
    public void The_coordinator_takes_only_formats_and_config_of_a_model()
        => Assert.Empty(CompiledTypes.Uses
            .Where(use => use is { Project: "Coordinator", ToProject: "Model" } && !IsAllowed(use.ToNamespace))
            .Select(use => use.ToString()));

    static bool IsAllowed(string space) => OfAModel.Any(allowed => space == allowed || space.StartsWith($"{allowed}.", StringComparison.Ordinal));
}

//! What belongs together because pairs do.

/// Disjoint sets of the numbers below a count: each number has a smaller one of its set above it, the smallest stands for all
/// (Galler and Fischer 1964). What is in memory is one number for each, however many pairs are joined.
pub(super) struct Union(Vec<usize>);

impl Union {
    /// `count` sets of one number each.
    pub fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    pub fn are_joined(&mut self, a: usize, b: usize) -> bool {
        end(&mut self.0, a) == end(&mut self.0, b)
    }

    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (end(&mut self.0, a), end(&mut self.0, b));
        self.0[a.max(b)] = a.min(b);
    }

    /// The sets of several numbers, each sorted, in the order of their smallest ones.
    pub fn clusters(mut self) -> Vec<Vec<usize>> {
        let roots: Vec<usize> = (0..self.0.len()).map(|i| end(&mut self.0, i)).collect();
        let mut sizes = vec![0usize; roots.len()];
        roots.iter().for_each(|&root| sizes[root] += 1);
        let (mut clusters, mut places) = (Vec::<Vec<usize>>::new(), vec![None; roots.len()]);
        for (i, &root) in roots.iter().enumerate().filter(|(_, root)| sizes[**root] > 1) {
            let place = *places[root].get_or_insert_with(|| {
                clusters.push(Vec::with_capacity(sizes[root]));
                clusters.len() - 1
            });
            clusters[place].push(i);
        }
        clusters
    }
}

/// Where the way from `i` ends; each step of it is halved, so that the next one is shorter.
pub(super) fn end(next: &mut [usize], mut i: usize) -> usize {
    while next[i] != i {
        next[i] = next[next[i]];
        i = next[i];
    }
    i
}

/// Joins overlapping groups of indices below `count` into disjoint clusters of several, each sorted.
pub(crate) fn clusters(count: usize, groups: impl IntoIterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut union = Union::new(count);
    for group in groups {
        group.windows(2).for_each(|pair| union.join(pair[0], pair[1]));
    }
    union.clusters()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_groups_are_one_cluster() {
        let groups = [vec![4, 5], vec![0, 1], vec![7], vec![6, 1, 2], vec![5, 4]];
        assert_eq!(clusters(9, groups), [vec![0, 1, 2, 6], vec![4, 5]]);
        assert!(clusters(0, []).is_empty());
    }
}

//! A metric for each value of its labels.

use std::fmt::{self, Debug};
use std::sync::Arc;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Makes the metric of a new label value.
pub(super) struct Make<M>(pub(super) Arc<dyn Fn() -> M + Send + Sync>);

impl<M> Clone for Make<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> MetricConstructor<M> for Make<M> {
    fn new_metric(&self) -> M {
        (self.0)()
    }
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// A metric for each value of `N` labels. Values are texts of the program's own, so there are few of them, and nothing
/// that comes from outside can become one.
pub struct By<M, const N: usize> {
    names: [&'static str; N],
    family: Family<Labels<N>, M, Make<M>>,
}

impl<M: Clone, const N: usize> By<M, N> {
    pub(super) fn new(names: [&'static str; N], make: Make<M>) -> Self {
        Self { names, family: Family::new_with_constructor(make) }
    }

    /// The metric of these values, in the order of the labels. Who counts often keeps it: it is shared, not copied.
    pub fn of(&self, values: [&'static str; N]) -> M {
        let mut labels = [("", ""); N];
        for (label, pair) in labels.iter_mut().zip(self.names.into_iter().zip(values)) {
            *label = pair;
        }
        self.family.get_or_create_owned(&labels)
    }

    /// Serves these values from now on, though nothing was counted yet: a rate needs a value to begin with.
    pub fn known(self, values: impl IntoIterator<Item = [&'static str; N]>) -> Self {
        for values in values {
            self.of(values);
        }
        self
    }
}

impl<M, const N: usize> Clone for By<M, N> {
    fn clone(&self) -> Self {
        Self { names: self.names, family: self.family.clone() }
    }
}

impl<M, const N: usize> Debug for By<M, N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("By").field(&self.names).finish()
    }
}

impl<M: EncodeMetric + TypedMetric, const N: usize> EncodeMetric for By<M, N> {
    fn encode(&self, encoder: MetricEncoder) -> fmt::Result {
        self.family.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.family.is_empty()
    }
}
